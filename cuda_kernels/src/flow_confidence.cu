// How far a flow can be trusted; see flow_confidence.py.
#include "sampling.cuh"

constexpr int tile_width = 32, tile_height = 8, reach = 2;
constexpr int wide = tile_width + 2 * reach, tall = tile_height + 2 * reach;

// One value of a picture's pixels, linear between them; its edge goes on beyond it.
template <class T>
__device__ float value_at(const T* values, int count, int width, int height, float x, float y) {
    x = min(max(x, 0.0f), width - 1.0f);
    y = min(max(y, 0.0f), height - 1.0f);
    int left = static_cast<int>(x), top = static_cast<int>(y);
    int right = min(left + 1, width - 1), bottom = min(top + 1, height - 1);
    float across = x - left, down = y - top;
    float upper = values[(top * width + left) * count] * (1.0f - across) +
                  values[(top * width + right) * count] * across;
    float lower = values[(bottom * width + left) * count] * (1.0f - across) +
                  values[(bottom * width + right) * count] * across;
    return upper * (1.0f - down) + lower * down;
}

// Blocks of 32 by 8 threads. A block finds its own pixels' change of look and that of two around.
extern "C" __global__ void flow_confidence(
    const unsigned char* __restrict__ before, const unsigned char* __restrict__ now,
    const float* __restrict__ flow, const float* __restrict__ opposite, int width, int height,
    float tolerance, float noise, float contrast, float* __restrict__ out) {
    __shared__ float change[tall][wide];
    int first_x = blockIdx.x * tile_width - reach, first_y = blockIdx.y * tile_height - reach;
    int own = threadIdx.y * tile_width + threadIdx.x;
    for (int index = own; index < wide * tall; index += tile_width * tile_height) {
        int x = between(first_x + index % wide, 0, width - 1);
        int y = between(first_y + index / wide, 0, height - 1);
        int place = y * width + x;
        float from_x = x + flow[2 * place], from_y = y + flow[2 * place + 1];
        float seen = value_at(before, 1, width, height, from_x, from_y);
        change[index / wide][index % wide] = fabsf(now[place] - seen);
    }
    __syncthreads();
    int x = first_x + reach + threadIdx.x, y = first_y + reach + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    float across = flow[2 * place], down = flow[2 * place + 1];
    float from_x = x + across, from_y = y + down;
    if (!(from_x >= 0.0f && from_y >= 0.0f && from_x <= width - 1 && from_y <= height - 1)) {
        out[place] = 0.0f;
        return;
    }
    float sum = 0.0f;
    for (int j = 0; j <= 2 * reach; j++)
        for (int i = 0; i <= 2 * reach; i++) sum += change[threadIdx.y + j][threadIdx.x + i];
    float doubt = max(sum / ((2 * reach + 1) * (2 * reach + 1)) - noise, 0.0f) / contrast;
    float miss_x = (value_at(opposite, 2, width, height, from_x, from_y) + across) / tolerance;
    float miss_y = (value_at(opposite + 1, 2, width, height, from_x, from_y) + down) / tolerance;
    out[place] = expf(-(miss_x * miss_x + miss_y * miss_y) - doubt * doubt);
}
