// One step of an exponential memory; see memory_blend.py. Pictures have one to four floats a pixel.
#include "sampling.cuh"

// One channel of a memory at a place, cubic between its pixels; its edge goes on beyond it.
__device__ float moved(const float* memory, int channels, int width, int height, float x, float y) {
    x = min(max(x, -2.0f), width + 1.0f);
    y = min(max(y, -2.0f), height + 1.0f);
    int left = __float2int_rd(x), top = __float2int_rd(y);
    float across[4], down[4], sum = 0.0f;
    cubic_weights(x - left, across);
    cubic_weights(y - top, down);
    for (int j = 0; j < 4; j++) {
        int row = between(top - 1 + j, 0, height - 1);
        float line = 0.0f;
        for (int i = 0; i < 4; i++) {
            int column = between(left - 1 + i, 0, width - 1);
            line += across[i] * memory[(row * width + column) * channels];
        }
        sum += down[j] * line;
    }
    return sum;
}

extern "C" __global__ void memory_warp(
    const float* __restrict__ memory, int memory_width, int memory_height, int channels,
    const float* __restrict__ where, int width, int height, float* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    for (int c = 0; c < channels; c++)
        out[place * channels + c] = moved(memory + c, channels, memory_width, memory_height,
                                          where[2 * place], where[2 * place + 1]);
}

// How far the moved memory is from what is seen now; where it is limited, held to what is around.
extern "C" __global__ void find_change(
    const float* __restrict__ memory, int memory_width, int memory_height, int channels,
    const float* __restrict__ where, const float* __restrict__ current, int width, int height,
    int is_limited, float limit, float* __restrict__ change) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    for (int c = 0; c < channels; c++) {
        float now = current[place * channels + c], low = now, high = now;
        float value = moved(memory + c, channels, memory_width, memory_height, where[2 * place],
                            where[2 * place + 1]);
        if (is_limited) {
            for (int j = max(y - 1, 0); j <= min(y + 1, height - 1); j++)
                for (int i = max(x - 1, 0); i <= min(x + 1, width - 1); i++) {
                    float near = current[(j * width + i) * channels + c];
                    low = min(low, near);
                    high = max(high, near);
                }
            value = min(max(value, low - limit), high + limit);
        }
        change[place * channels + c] = value - now;
    }
}

// The mean over the part of a picture under a smaller one's pixel, each pixel by its share.
__device__ float area_mean(const float* values, int channels, int width, int height, int x, int y,
                           int smaller_width, int smaller_height) {
    float wide = static_cast<float>(width) / smaller_width;
    float tall = static_cast<float>(height) / smaller_height;
    float left = x * wide, right = (x + 1) * wide, top = y * tall, bottom = (y + 1) * tall;
    float sum = 0.0f;
    for (int row = static_cast<int>(top); row < height && row < bottom; row++) {
        float down = min(bottom, row + 1.0f) - max(top, static_cast<float>(row));
        for (int column = static_cast<int>(left); column < width && column < right; column++) {
            float across = min(right, column + 1.0f) - max(left, static_cast<float>(column));
            sum += across * down * values[(row * width + column) * channels];
        }
    }
    return sum / (wide * tall);
}

// Change and weight at a smaller size.
extern "C" __global__ void shrink(
    const float* __restrict__ change, const float* __restrict__ weight, int width, int height,
    int channels, float* __restrict__ smaller, float* __restrict__ smaller_weight,
    int smaller_width, int smaller_height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= smaller_width || y >= smaller_height) return;
    int place = y * smaller_width + x;
    for (int c = 0; c < channels; c++)
        smaller[place * channels + c] =
            area_mean(change + c, channels, width, height, x, y, smaller_width, smaller_height);
    smaller_weight[place] =
        area_mean(weight, 1, width, height, x, y, smaller_width, smaller_height);
}

// One channel of a smaller picture, each pixel times its weight where there is one, at a larger
// one's pixel: linear between middles, flat beyond the last.
__device__ float enlarged(const float* smaller, const float* weight, int channels,
                          int smaller_width, int smaller_height, int x, int y, int width,
                          int height) {
    float at_x = (x + 0.5f) * smaller_width / width - 0.5f;
    float at_y = (y + 0.5f) * smaller_height / height - 0.5f;
    at_x = min(max(at_x, 0.0f), smaller_width - 1.0f);
    at_y = min(max(at_y, 0.0f), smaller_height - 1.0f);
    int left = static_cast<int>(at_x), top = static_cast<int>(at_y);
    float across = at_x - left, down = at_y - top, sum = 0.0f;
    for (int index = 0; index < 4; index++) {
        int column = min(left + (index & 1), smaller_width - 1);
        int row = min(top + (index >> 1), smaller_height - 1);
        int place = row * smaller_width + column;
        float share = ((index & 1) ? across : 1.0f - across) * ((index >> 1) ? down : 1.0f - down);
        sum += share * smaller[place * channels] * (weight ? weight[place] : 1.0f);
    }
    return sum;
}

// What half size adds, on what quarter size does, in place.
extern "C" __global__ void join_half(
    const float* __restrict__ quarter, const float* __restrict__ quarter_weight, int quarter_width,
    int quarter_height, float quarter_strength, const float* __restrict__ weight, float strength,
    int channels, float* __restrict__ half, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    for (int c = 0; c < channels; c++)
        half[place * channels + c] =
            half[place * channels + c] * weight[place] * strength +
            quarter_strength * enlarged(quarter + c, quarter_weight, channels, quarter_width,
                                        quarter_height, x, y, width, height);
}

extern "C" __global__ void join_full(
    const float* __restrict__ current, const float* __restrict__ change,
    const float* __restrict__ weight, float strength, const float* __restrict__ half,
    int half_width, int half_height, int channels, float* __restrict__ out, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    for (int c = 0; c < channels; c++) {
        float coarse =
            enlarged(half + c, nullptr, channels, half_width, half_height, x, y, width, height);
        float fine = strength * weight[place] * change[place * channels + c];
        out[place * channels + c] = current[place * channels + c] + fine + coarse;
    }
}
