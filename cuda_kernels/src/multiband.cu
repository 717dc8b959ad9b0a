// Two pictures blended band by band; see multiband.py.
//
// A level of the pyramid holds four floats for each pixel: how far the front is from the back in
// blue, green and red, and its share 0..1. A second one holds three: the blended difference.

// A place beyond the edge, mirrored without repeating the edge.
__device__ int mirrored(int index, int num) {
    if (num == 1) return 0;
    while (index < 0 || index >= num) index = index < 0 ? -index : 2 * num - 2 - index;
    return index;
}

// The kernel of Burt and Adelson, 1 4 6 4 1.
__device__ float binomial(int distance) {
    return distance == 0 ? 6.0f : (distance == 1 || distance == -1) ? 4.0f : 1.0f;
}

__device__ float difference(const unsigned char* front, const unsigned char* back,
                            const unsigned char* mask, int place, int channel) {
    if (channel == 3) return mask[place] / 255.0f;
    return static_cast<float>(front[3 * place + channel] - back[3 * place + channel]);
}

// One channel of a level of pixels with so many floats, as large again: even places are met by
// three values, odd ones lie between two. Before the first value the second counts, after the last
// the last.
__device__ float enlarged(const float* level, int floats, int width, int height, int x, int y,
                          int channel) {
    int column = x >> 1, row = y >> 1;
    float sum = 0.0f;
    for (int j = -1; j <= 1; j++) {
        float down = (y & 1) ? (j < 0 ? 0.0f : 4.0f) : (j == 0 ? 6.0f : 1.0f);
        int at_y = row + j < 0 ? min(1, height - 1) : min(row + j, height - 1);
        for (int i = -1; i <= 1; i++) {
            float across = (x & 1) ? (i < 0 ? 0.0f : 4.0f) : (i == 0 ? 6.0f : 1.0f);
            int at_x = column + i < 0 ? min(1, width - 1) : min(column + i, width - 1);
            sum += down * across * level[(at_y * width + at_x) * floats + channel];
        }
    }
    return sum / 64.0f;
}

// The first level above the pictures themselves.
extern "C" __global__ void first_level(
    const unsigned char* __restrict__ front, const unsigned char* __restrict__ back,
    const unsigned char* __restrict__ mask, int width, int height, float* __restrict__ level) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    if (column >= half_width || row >= half_height) return;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int j = -2; j <= 2; j++) {
        int line = mirrored(2 * row + j, height) * width;
        for (int i = -2; i <= 2; i++) {
            int place = line + mirrored(2 * column + i, width);
            float share = binomial(j) * binomial(i);
            for (int c = 0; c < 4; c++) sum[c] += share * difference(front, back, mask, place, c);
        }
    }
    for (int c = 0; c < 4; c++) level[(row * half_width + column) * 4 + c] = sum[c] / 256.0f;
}

extern "C" __global__ void next_level(
    const float* __restrict__ level, int width, int height, float* __restrict__ smaller) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    if (column >= half_width || row >= half_height) return;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int j = -2; j <= 2; j++) {
        int line = mirrored(2 * row + j, height) * width;
        for (int i = -2; i <= 2; i++) {
            const float* pixel = level + (line + mirrored(2 * column + i, width)) * 4;
            float share = binomial(j) * binomial(i);
            for (int c = 0; c < 4; c++) sum[c] += share * pixel[c];
        }
    }
    for (int c = 0; c < 4; c++) smaller[(row * half_width + column) * 4 + c] = sum[c] / 256.0f;
}

// The coarsest level is blended as it is.
extern "C" __global__ void blend_coarsest(
    const float* __restrict__ level, int width, int height, float* __restrict__ blended) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
    int place = row * width + column;
    for (int c = 0; c < 3; c++)
        blended[place * 3 + c] = level[place * 4 + 3] * level[place * 4 + c];
}

// A level's own band, blended, on what was blended of the next coarser one.
extern "C" __global__ void blend_level(
    const float* __restrict__ level, int width, int height, const float* __restrict__ coarser,
    const float* __restrict__ coarser_blended, float* __restrict__ blended) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    int place = row * width + column;
    for (int c = 0; c < 3; c++) {
        float rest = enlarged(coarser, 4, half_width, half_height, column, row, c);
        float below = enlarged(coarser_blended, 3, half_width, half_height, column, row, c);
        blended[place * 3 + c] = level[place * 4 + 3] * (level[place * 4 + c] - rest) + below;
    }
}

// The same for the pictures themselves, of which one may be written over.
extern "C" __global__ void blend_pictures(
    const unsigned char* front, const unsigned char* back, const unsigned char* __restrict__ mask,
    int width, int height, const float* __restrict__ coarser,
    const float* __restrict__ coarser_blended, unsigned char* out) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    int place = row * width + column;
    float share = mask[place] / 255.0f;
    for (int c = 0; c < 3; c++) {
        float rest = enlarged(coarser, 4, half_width, half_height, column, row, c);
        float below = enlarged(coarser_blended, 3, half_width, half_height, column, row, c);
        float change = share * (difference(front, back, mask, place, c) - rest) + below;
        float level = min(max(back[3 * place + c] + change, 0.0f), 255.0f);
        out[3 * place + c] = static_cast<unsigned char>(__float2int_rn(level));
    }
}
