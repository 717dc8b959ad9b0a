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

// A thread for each pixel of the region; the matrix leads from there to blocks of the crop.
extern "C" __global__ void paste_affine(
    const unsigned char* __restrict__ face, int face_step,
    const unsigned char* __restrict__ alpha, int alpha_step, int width, int height, int shift,
    float xx, float xy, float x1, float yx, float yy, float y1,
    unsigned char* __restrict__ out, int out_step, int region_width, int region_height) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= region_width || row >= region_height) return;
    int columns = width >> shift, rows = height >> shift;
    float x = xx * column + xy * row + x1, y = yx * column + yy * row + y1;
    // Farther out the crop covers nothing, and places would not fit an int.
    if (x <= -1.0f || y <= -1.0f || x >= columns || y >= rows) return;
    float weight = alpha_at(alpha, alpha_step, shift, columns, rows, x, y) / 255.0f;
    if (weight <= 0.0f) return;
    unsigned char* pixel = out + static_cast<long long>(row) * out_step + 3 * column;
    for (int c = 0; c < 3; c++) {
        float level = face_at(face + c, face_step, shift, columns, rows, x, y);
        pixel[c] = static_cast<unsigned char>(
            __float2int_rn(weight * level + (1.0f - weight) * pixel[c]));
    }
}
