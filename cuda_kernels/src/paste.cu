// A crop laid back over its region of a picture; see paste.py.
#include "sampling.cuh"

// The alpha of blocks of a crop between them, 0..255; nothing beyond its edge.
__device__ float alpha_at(const unsigned char* alpha, int step, int shift, int columns, int rows,
                          float x, float y) {
    int left = __float2int_rd(x), top = __float2int_rd(y);
    float across = x - left, down = y - top, sum = 0.0f;
    for (int index = 0; index < 4; index++) {
        int column = left + (index & 1), row = top + (index >> 1);
        if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
        float share = ((index & 1) ? across : 1.0f - across) * ((index >> 1) ? down : 1.0f - down);
        sum += share * block_mean(alpha, step, 1, shift, column, row);
    }
    return sum;
}

// One channel of blocks of a crop, cubic between them; its edge goes on beyond it.
__device__ float face_at(const unsigned char* plane, int step, int shift, int columns, int rows,
                         float x, float y) {
    int left = __float2int_rd(x), top = __float2int_rd(y);
    float across[4], down[4], sum = 0.0f;
    cubic_weights(x - left, across);
    cubic_weights(y - top, down);
    for (int j = 0; j < 4; j++) {
        int row = between(top - 1 + j, 0, rows - 1);
        float line = 0.0f;
        for (int i = 0; i < 4; i++) {
            int column = between(left - 1 + i, 0, columns - 1);
            line += across[i] * block_mean(plane, step, 3, shift, column, row);
        }
        sum += down[j] * line;
    }
    return min(max(sum, 0.0f), 255.0f);
}

// A crop and its alpha, averaged over blocks of 2^shift pixels.
struct Crop {
    const unsigned char* face;
    int face_step;
    const unsigned char* alpha;
    int alpha_step, columns, rows, shift;
};

// Lays the crop over one pixel of a picture.
__device__ void lay(const Crop& crop, float x, float y, unsigned char* pixel) {
    // Farther out the crop covers nothing, and places would not fit an int.
    if (x <= -1.0f || y <= -1.0f || x >= crop.columns || y >= crop.rows) return;
    float weight =
        alpha_at(crop.alpha, crop.alpha_step, crop.shift, crop.columns, crop.rows, x, y) / 255.0f;
    if (weight <= 0.0f) return;
    for (int c = 0; c < 3; c++) {
        float level =
            face_at(crop.face + c, crop.face_step, crop.shift, crop.columns, crop.rows, x, y);
        pixel[c] = static_cast<unsigned char>(
            __float2int_rn(weight * level + (1.0f - weight) * pixel[c]));
    }
}

// A thread for each pixel of the region; the matrix leads from there to blocks of the crop.
extern "C" __global__ void paste_affine(
    const unsigned char* __restrict__ face, int face_step,
    const unsigned char* __restrict__ alpha, int alpha_step, int width, int height, int shift,
    float xx, float xy, float x1, float yx, float yy, float y1,
    unsigned char* __restrict__ out, int out_step, int region_width, int region_height) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= region_width || row >= region_height) return;
    lay({face, face_step, alpha, alpha_step, width >> shift, height >> shift, shift},
        xx * column + xy * row + x1, yx * column + yy * row + y1,
        out + static_cast<long long>(row) * out_step + 3 * column);
}

// The same with all that changes from frame to frame in memory: the matrix, the shift, and the
// region's left, top, width and height. A fixed number of threads walks over the region.
extern "C" __global__ void paste_placed(
    const unsigned char* __restrict__ face, int face_step,
    const unsigned char* __restrict__ alpha, int alpha_step, int width, int height,
    const float* __restrict__ place, unsigned char* __restrict__ out, int out_step) {
    int shift = static_cast<int>(place[6]), left = static_cast<int>(place[7]);
    int top = static_cast<int>(place[8]), region_width = static_cast<int>(place[9]);
    int region_height = static_cast<int>(place[10]);
    Crop crop = {face, face_step, alpha, alpha_step, width >> shift, height >> shift, shift};
    for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < region_height;
         row += gridDim.y * blockDim.y)
        for (int column = blockIdx.x * blockDim.x + threadIdx.x; column < region_width;
             column += gridDim.x * blockDim.x)
            lay(crop, place[0] * column + place[1] * row + place[2],
                place[3] * column + place[4] * row + place[5],
                out + static_cast<long long>(top + row) * out_step + 3 * (left + column));
}
