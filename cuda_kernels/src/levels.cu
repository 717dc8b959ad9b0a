// Planes of a network's output to levels of a picture and on to bytes; see levels.py.
#include "sampling.cuh"

// What the bits of a half stand for, as IEEE 754 has it; numbers only, the caller looks at others.
__device__ float half_value(unsigned short bits) {
    unsigned int sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    // A subnormal half is so many steps of 2^-24.
    if (rest < 0x400u)
        return __uint_as_float(sign | __float_as_uint(rest * (1.0f / 16777216.0f)));
    return __uint_as_float(sign | ((rest << 13) + 0x38000000u));
}

__device__ bool is_number(float value) { return (__float_as_uint(value) & 0x7f800000u) < 0x7f800000u; }

// Levels of one pixel, blue first; what is no number counts and becomes black.
__device__ void set_levels(const float* values, const float* scale, int reversed, float* pixel,
                           unsigned int* num_bad) {
    for (int plane = 0; plane < 3; plane++) {
        float level = values[plane] * scale[plane] + scale[3 + plane];
        bool good = is_number(values[plane]);
        if (!good) atomicAdd(num_bad, 1u);
        pixel[reversed ? 2 - plane : plane] = good ? min(max(level, 0.0f), 255.0f) : 0.0f;
    }
}

extern "C" __global__ void levels_from_float(const float* __restrict__ planes, int width,
                                             int height, const float* __restrict__ scale,
                                             int reversed, float* __restrict__ out,
                                             unsigned int* __restrict__ num_bad) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x, area = width * height;
    float values[3] = {planes[place], planes[area + place], planes[2 * area + place]};
    set_levels(values, scale, reversed, out + 3 * place, num_bad);
}

extern "C" __global__ void levels_from_half(const unsigned short* __restrict__ planes, int width,
                                            int height, const float* __restrict__ scale,
                                            int reversed, float* __restrict__ out,
                                            unsigned int* __restrict__ num_bad) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x, area = width * height;
    float values[3];
    for (int plane = 0; plane < 3; plane++) {
        unsigned short bits = planes[plane * area + place];
        bool good = (bits & 0x7c00u) != 0x7c00u;
        values[plane] = good ? half_value(bits) : __uint_as_float(0x7f800000u);
    }
    set_levels(values, scale, reversed, out + 3 * place, num_bad);
}

// Each thread takes four levels, a block apart, so that more of them are on their way at once.
extern "C" __global__ void picture_from_levels(const float* __restrict__ levels, int num,
                                               unsigned char* __restrict__ out) {
    int first = 4 * blockIdx.x * blockDim.x + threadIdx.x;
    for (int index = first; index < num && index < first + 4 * static_cast<int>(blockDim.x);
         index += blockDim.x) {
        float level = min(max(levels[index], 0.0f), 255.0f);
        out[index] = static_cast<unsigned char>(__float2int_rn(level));
    }
}

// A finer picture over a plain one that is enlarged; the finer one may be written.
extern "C" __global__ void mix_levels(const float* fine, const float* __restrict__ plain,
                                      int width, int height, float strength, float* out,
                                      int large_width, int large_height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= large_width || y >= large_height) return;
    float at_x = (x + 0.5f) * width / large_width - 0.5f;
    float at_y = (y + 0.5f) * height / large_height - 0.5f;
    int left = __float2int_rd(at_x), top = __float2int_rd(at_y);
    float across[4], down[4], larger[3] = {0.0f, 0.0f, 0.0f};
    cubic_weights(at_x - left, across);
    cubic_weights(at_y - top, down);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            int row = between(top - 1 + j, 0, height - 1);
            int column = between(left - 1 + i, 0, width - 1);
            for (int c = 0; c < 3; c++)
                larger[c] += down[j] * across[i] * plain[3 * (row * width + column) + c];
        }
    int place = 3 * (y * large_width + x);
    for (int c = 0; c < 3; c++)
        out[place + c] = strength * fine[place + c] + (1.0f - strength) * larger[c];
}
