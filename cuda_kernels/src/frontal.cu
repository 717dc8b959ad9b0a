// A turned head looked at over its mesh, and turned back; see frontal.py.
#include "sampling.cuh"

// One value between the four around a place; the edge goes on beyond it.
__device__ float linear_at(const float* values, int channels, int columns, int rows, float x,
                           float y) {
    x = min(max(x, 0.0f), columns - 1.0f);
    y = min(max(y, 0.0f), rows - 1.0f);
    int left = static_cast<int>(x), top = static_cast<int>(y);
    int right = min(left + 1, columns - 1), bottom = min(top + 1, rows - 1);
    float across = x - left, down = y - top;
    float upper = values[channels * (top * columns + left)] * (1.0f - across) +
                  values[channels * (top * columns + right)] * across;
    float lower = values[channels * (bottom * columns + left)] * (1.0f - across) +
                  values[channels * (bottom * columns + right)] * across;
    return upper * (1.0f - down) + lower * down;
}

__device__ float level_at(const unsigned char* values, int side, float x, float y) {
    x = min(max(x, 0.0f), side - 1.0f);
    y = min(max(y, 0.0f), side - 1.0f);
    int left = static_cast<int>(x), top = static_cast<int>(y);
    int right = min(left + 1, side - 1), bottom = min(top + 1, side - 1);
    float across = x - left, down = y - top;
    float upper = values[3 * (top * side + left)] * (1.0f - across) +
                  values[3 * (top * side + right)] * across;
    float lower = values[3 * (bottom * side + left)] * (1.0f - across) +
                  values[3 * (bottom * side + right)] * across;
    return static_cast<float>(__float2int_rn(upper * (1.0f - down) + lower * down));
}

__device__ float unit(float value) { return min(max(value, 0.0f), 1.0f); }

__device__ int reflected(int index, int size) {
    if (size == 1) return 0;
    if (index < 0) index = -index;
    return index < size ? index : 2 * (size - 1) - index;
}

// How far each pixel of the turned crop shows what the picture shows.
extern "C" __global__ void find_seen(const float* __restrict__ back,
                                     const float* __restrict__ there,
                                     const float* __restrict__ mirrored,
                                     const float* __restrict__ numbers, int side, float grazing,
                                     float full, float* __restrict__ seen) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= side || y >= side) return;
    int place = y * side + x;
    const float* spot = there + 3 * place;
    float nearest = linear_at(back + 2, 3, side, side, spot[0], spot[1]);
    float behind = (spot[2] - nearest) / numbers[1];
    float facing = mirrored[3 * place + 2];
    seen[place] = unit(2.0f - behind) * unit((facing - grazing) / (full - grazing));
}

// The turned crop: what is seen of the face, else what its other side shows there.
extern "C" __global__ void cut_turned(const unsigned char* __restrict__ dense,
                                      const float* __restrict__ there,
                                      const float* __restrict__ mirrored,
                                      const float* __restrict__ seen,
                                      const unsigned char* __restrict__ plain,
                                      const float* __restrict__ numbers, int side, int density,
                                      int reach, unsigned char* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= side || y >= side) return;
    float sum = 0.0f;
    for (int j = -reach; j <= reach; j++)
        for (int i = -reach; i <= reach; i++)
            sum += seen[reflected(y + j, side) * side + reflected(x + i, side)];
    float weight = sum / ((2 * reach + 1) * (2 * reach + 1));
    int place = 3 * (y * side + x);
    float shift = 0.5f * (density - 1), share = numbers[0];
    for (int c = 0; c < 3; c++) {
        float own = level_at(dense + c, side * density, there[place] * density + shift,
                             there[place + 1] * density + shift);
        float other = level_at(dense + c, side * density, mirrored[place] * density + shift,
                               mirrored[place + 1] * density + shift);
        float level = static_cast<float>(
            __float2int_rn(own * weight + other * (1.0f - weight)));
        if (share < 1.0f) level = level * share + plain[place + c] * (1.0f - share);
        out[place + c] = static_cast<unsigned char>(__float2int_rn(level));
    }
}

// Levels of the turned crop back where the head looks in the picture.
extern "C" __global__ void turn_back(const float* __restrict__ levels,
                                     const float* __restrict__ back,
                                     const float* __restrict__ numbers, int side,
                                     float* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= side || y >= side) return;
    int place = 3 * (y * side + x);
    float share = numbers[0];
    for (int c = 0; c < 3; c++) {
        float level = linear_at(levels + c, 3, side, side, back[place], back[place + 1]);
        out[place + c] = share < 1.0f ? level * share + levels[place + c] * (1.0f - share) : level;
    }
}
