// A picture into a network's input: resized, framed, normalised, channels first; see letterbox.py.
#include "half.cuh"

struct Colour {
    float channel[3];
};

// The mean over the part of the picture under an output pixel, each source pixel by its share.
__device__ Colour area_mean(const unsigned char* image, int step, int width, int height, float left,
                            float right, float top, float bottom) {
    Colour sum = {{0.0f, 0.0f, 0.0f}};
    int first_column = max(static_cast<int>(left), 0), first_row = max(static_cast<int>(top), 0);
    for (int row = first_row; row < height && row < bottom; row++) {
        float tall = min(bottom, row + 1.0f) - max(top, static_cast<float>(row));
        const unsigned char* pixel = image + static_cast<long long>(row) * step + 3 * first_column;
        for (int column = first_column; column < width && column < right; column++, pixel += 3) {
            float wide = min(right, column + 1.0f) - max(left, static_cast<float>(column));
            for (int c = 0; c < 3; c++) sum.channel[c] += wide * tall * pixel[c];
        }
    }
    float area = (right - left) * (bottom - top);
    for (int c = 0; c < 3; c++) sum.channel[c] /= area;
    return sum;
}

// Linear between the middles of pixels, flat beyond the last.
__device__ Colour between_pixels(const unsigned char* image, int step, int width, int height,
                                 float x, float y) {
    x = min(max(x, 0.0f), width - 1.0f);
    y = min(max(y, 0.0f), height - 1.0f);
    int column = static_cast<int>(x), row = static_cast<int>(y);
    int beside = min(column + 1, width - 1), below = min(row + 1, height - 1);
    float across = x - column, down = y - row;
    const unsigned char* upper = image + static_cast<long long>(row) * step;
    const unsigned char* lower = image + static_cast<long long>(below) * step;
    Colour result;
    for (int c = 0; c < 3; c++) {
        float first = upper[3 * column + c] * (1.0f - across) + upper[3 * beside + c] * across;
        float second = lower[3 * column + c] * (1.0f - across) + lower[3 * beside + c] * across;
        result.channel[c] = first * (1.0f - down) + second * down;
    }
    return result;
}

__device__ Colour framed(const unsigned char* image, int step, int width, int height, int x, int y,
                         int fit_width, int fit_height, float fill) {
    if (x < 0 || y < 0 || x >= fit_width || y >= fit_height) return {{fill, fill, fill}};
    float wide = static_cast<float>(width) / fit_width;
    float tall = static_cast<float>(height) / fit_height;
    if (wide >= 1.0f && tall >= 1.0f)
        return area_mean(image, step, width, height, x * wide, (x + 1) * wide, y * tall,
                         (y + 1) * tall);
    return between_pixels(image, step, width, height, (x + 0.5f) * wide - 0.5f,
                          (y + 0.5f) * tall - 0.5f);
}

// The level of one colour, by its gain and offset, at one place of one plane.
__device__ float normalised(const Colour& colour, int plane, int reversed, const float* scale) {
    return colour.channel[reversed ? 2 - plane : plane] * scale[plane] + scale[3 + plane];
}

extern "C" __global__ void letterbox_float(
    const unsigned char* __restrict__ image, int step, int width, int height, int left, int top,
    int fit_width, int fit_height, float fill, int reversed, const float* __restrict__ scale,
    float* __restrict__ out, int out_width, int out_height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= out_width || y >= out_height) return;
    Colour colour =
        framed(image, step, width, height, x - left, y - top, fit_width, fit_height, fill);
    for (int plane = 0; plane < 3; plane++)
        out[(plane * out_height + y) * out_width + x] = normalised(colour, plane, reversed, scale);
}

extern "C" __global__ void letterbox_half(
    const unsigned char* __restrict__ image, int step, int width, int height, int left, int top,
    int fit_width, int fit_height, float fill, int reversed, const float* __restrict__ scale,
    unsigned short* __restrict__ out, int out_width, int out_height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= out_width || y >= out_height) return;
    Colour colour =
        framed(image, step, width, height, x - left, y - top, fit_width, fit_height, fill);
    for (int plane = 0; plane < 3; plane++)
        out[(plane * out_height + y) * out_width + x] =
            half_bits(normalised(colour, plane, reversed, scale));
}
