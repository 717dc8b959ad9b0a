// The smooth part of the difference between a picture and a face; see light.py.
#include "sampling.cuh"

struct Sums {
    float value[4];
};

// The part of one row or column that lies between two places.
__device__ float covered(int index, float first, float last) {
    return min(last, index + 1.0f) - max(first, static_cast<float>(index));
}

// A block of 64 threads for each cell of the grid: blue, green, red and weight, means over the cell.
extern "C" __global__ void light_cells(
    const unsigned char* __restrict__ face, const unsigned char* __restrict__ picture,
    const unsigned char* __restrict__ weight, int width, int height, int side,
    float* __restrict__ cells) {
    __shared__ Sums room[64];
    int cell = blockIdx.x, thread = threadIdx.x;
    float wide = static_cast<float>(width) / side, tall = static_cast<float>(height) / side;
    float left = cell % side * wide, top = cell / side * tall;
    float right = left + wide, bottom = top + tall;
    int first_column = static_cast<int>(left), first_row = static_cast<int>(top);
    int columns = min(static_cast<int>(ceilf(right)), width) - first_column;
    int rows = min(static_cast<int>(ceilf(bottom)), height) - first_row;
    Sums own = {{0.0f, 0.0f, 0.0f, 0.0f}};
    for (int index = thread; index < columns * rows; index += blockDim.x) {
        int column = first_column + index % columns, row = first_row + index / columns;
        int place = row * width + column;
        float share = covered(column, left, right) * covered(row, top, bottom);
        share *= weight[place] / 255.0f;
        for (int c = 0; c < 3; c++)
            own.value[c] += share * (picture[3 * place + c] - face[3 * place + c]);
        own.value[3] += share;
    }
    room[thread] = own;
    __syncthreads();
    for (int half = 32; half > 0; half >>= 1) {
        if (thread < half)
            for (int n = 0; n < 4; n++) room[thread].value[n] += room[thread + half].value[n];
        __syncthreads();
    }
    if (thread < 4) cells[4 * cell + thread] = room[0].value[thread] / (wide * tall);
}

// One block of 576 threads, one for each cell: blurred, carried on to where there was nothing to
// see, and followed slowly.
extern "C" __global__ void follow_cells(const float* __restrict__ cells, float sigma, int reach,
                                        float trust, float rate, float* __restrict__ light) {
    const int side = 24;
    __shared__ Sums across[24 * 24], blurred[24 * 24];
    __shared__ float shares[32], sums[4];
    int cell = threadIdx.x, x = cell % side, y = cell / side;
    if (cell <= reach) shares[cell] = expf(-0.5f * cell * cell / (sigma * sigma));
    __syncthreads();
    float whole = shares[0];
    for (int n = 1; n <= reach; n++) whole += 2.0f * shares[n];
    Sums sum = {{0.0f, 0.0f, 0.0f, 0.0f}};
    for (int n = max(-reach, -x); n <= min(reach, side - 1 - x); n++)
        for (int c = 0; c < 4; c++)
            sum.value[c] += shares[n < 0 ? -n : n] * cells[4 * (cell + n) + c];
    for (int c = 0; c < 4; c++) across[cell].value[c] = sum.value[c] / whole;
    __syncthreads();
    for (int c = 0; c < 4; c++) sum.value[c] = 0.0f;
    for (int n = max(-reach, -y); n <= min(reach, side - 1 - y); n++)
        for (int c = 0; c < 4; c++)
            sum.value[c] += shares[n < 0 ? -n : n] * across[cell + n * side].value[c];
    for (int c = 0; c < 4; c++) blurred[cell].value[c] = sum.value[c] / whole;
    __syncthreads();
    if (cell < 4) {
        float total = 0.0f;
        for (int n = 0; n < side * side; n++) total += blurred[n].value[cell];
        sums[cell] = total;
    }
    __syncthreads();
    for (int c = 0; c < 3; c++) {
        float usual = sums[3] > 1.0f ? sums[c] / sums[3] : 0.0f;
        float now = (blurred[cell].value[c] + trust * usual) / (blurred[cell].value[3] + trust);
        float before = light[3 * cell + c];
        light[3 * cell + c] = rate >= 1.0f ? now : before + rate * (now - before);
    }
}

// The light of the grid between its cells, added to a face; the face may be lit in place.
extern "C" __global__ void add_light(const unsigned char* face, int width, int height,
                                     const float* __restrict__ light, int side,
                                     unsigned char* out) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
    float x = (column + 0.5f) * side / width - 0.5f, y = (row + 0.5f) * side / height - 0.5f;
    x = min(max(x, 0.0f), side - 1.0f);
    y = min(max(y, 0.0f), side - 1.0f);
    int left = static_cast<int>(x), top = static_cast<int>(y);
    int right = min(left + 1, side - 1), bottom = min(top + 1, side - 1);
    float across = x - left, down = y - top;
    long long place = 3 * (static_cast<long long>(row) * width + column);
    for (int c = 0; c < 3; c++) {
        float upper = light[3 * (top * side + left) + c] * (1.0f - across) +
                      light[3 * (top * side + right) + c] * across;
        float lower = light[3 * (bottom * side + left) + c] * (1.0f - across) +
                      light[3 * (bottom * side + right) + c] * across;
        int level = __float2int_rn(face[place + c] + upper * (1.0f - down) + lower * down);
        out[place + c] = static_cast<unsigned char>(between(level, 0, 255));
    }
}
