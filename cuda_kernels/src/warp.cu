// An aligned crop out of a picture; see warp.py.
#include "sampling.cuh"

// A thread for each pixel of the crop; the matrix leads from there to blocks of the picture.
extern "C" __global__ void warp_affine(
    const unsigned char* __restrict__ image, int step, int width, int height, int channels,
    int shift, float xx, float xy, float x1, float yx, float yy, float y1,
    unsigned char* __restrict__ out, int out_step, int out_width, int out_height) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= out_width || row >= out_height) return;
    int last_column = (width >> shift) - 1, last_row = (height >> shift) - 1;
    float x = min(max(xx * column + xy * row + x1, 0.0f), static_cast<float>(last_column));
    float y = min(max(yx * column + yy * row + y1, 0.0f), static_cast<float>(last_row));
    int left = static_cast<int>(x), top = static_cast<int>(y);
    int right = min(left + 1, last_column), bottom = min(top + 1, last_row);
    float across = x - left, down = y - top;
    unsigned char* pixel = out + static_cast<long long>(row) * out_step + column * channels;
    for (int c = 0; c < channels; c++) {
        const unsigned char* plane = image + c;
        float upper = block_mean(plane, step, channels, shift, left, top) * (1.0f - across) +
                      block_mean(plane, step, channels, shift, right, top) * across;
        float lower = block_mean(plane, step, channels, shift, left, bottom) * (1.0f - across) +
                      block_mean(plane, step, channels, shift, right, bottom) * across;
        float value = upper * (1.0f - down) + lower * down;
        pixel[c] = static_cast<unsigned char>(__float2int_rn(value));
    }
}
