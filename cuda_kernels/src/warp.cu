// An aligned crop out of a picture; see warp.py.
#include "sampling.cuh"

// What a pixel of the crop is made from: a picture averaged over blocks, and where they are read.
struct Source {
    const unsigned char* image;
    int step, width, height, channels, shift;
};

__device__ void sample(const Source& from, float x, float y, unsigned char* pixel) {
    int last_column = (from.width >> from.shift) - 1, last_row = (from.height >> from.shift) - 1;
    x = min(max(x, 0.0f), static_cast<float>(last_column));
    y = min(max(y, 0.0f), static_cast<float>(last_row));
    int left = static_cast<int>(x), top = static_cast<int>(y);
    int right = min(left + 1, last_column), bottom = min(top + 1, last_row);
    float across = x - left, down = y - top;
    for (int c = 0; c < from.channels; c++) {
        const unsigned char* plane = from.image + c;
        float corners[4];
        for (int index = 0; index < 4; index++)
            corners[index] =
                block_mean(plane, from.step, from.channels, from.shift, (index & 1) ? right : left,
                           (index >> 1) ? bottom : top);
        float upper = corners[0] * (1.0f - across) + corners[1] * across;
        float lower = corners[2] * (1.0f - across) + corners[3] * across;
        float value = upper * (1.0f - down) + lower * down;
        pixel[c] = static_cast<unsigned char>(__float2int_rn(value));
    }
}

// A thread for each pixel of the crop; the matrix leads from there to blocks of the picture.
extern "C" __global__ void warp_affine(
    const unsigned char* __restrict__ image, int step, int width, int height, int channels,
    int shift, float xx, float xy, float x1, float yx, float yy, float y1,
    unsigned char* __restrict__ out, int out_step, int out_width, int out_height) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= out_width || row >= out_height) return;
    sample({image, step, width, height, channels, shift}, xx * column + xy * row + x1,
           yx * column + yy * row + y1,
           out + static_cast<long long>(row) * out_step + column * channels);
}

// The same with the matrix and then the shift in memory, so that they may change in a graph.
extern "C" __global__ void warp_placed(
    const unsigned char* __restrict__ image, int step, int width, int height, int channels,
    const float* __restrict__ place, unsigned char* __restrict__ out, int out_step, int out_width,
    int out_height) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= out_width || row >= out_height) return;
    sample({image, step, width, height, channels, static_cast<int>(place[6])},
           place[0] * column + place[1] * row + place[2],
           place[3] * column + place[4] * row + place[5],
           out + static_cast<long long>(row) * out_step + column * channels);
}
