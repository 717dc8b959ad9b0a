// A flow made ready to carry a memory along; see carry.py.
#include "sampling.cuh"

// What lies around a place between four values.
struct Around {
    int left, right, top, bottom;
    float across, down;
};

__device__ Around around(float x, float y, int width, int height) {
    x = min(max(x, 0.0f), width - 1.0f);
    y = min(max(y, 0.0f), height - 1.0f);
    int left = static_cast<int>(x), top = static_cast<int>(y);
    return {left, min(left + 1, width - 1), top, min(top + 1, height - 1), x - left, y - top};
}

// One channel there, linear between the values.
__device__ float between_them(const float* values, int channels, int width, const Around& at) {
    float upper = values[(at.top * width + at.left) * channels] * (1.0f - at.across) +
                  values[(at.top * width + at.right) * channels] * at.across;
    float lower = values[(at.bottom * width + at.left) * channels] * (1.0f - at.across) +
                  values[(at.bottom * width + at.right) * channels] * at.across;
    return upper * (1.0f - at.down) + lower * at.down;
}

// The mean of a flow and of the opposite one, turned around where the flow leads.
extern "C" __global__ void settle_flow(const float* __restrict__ backward,
                                       const float* __restrict__ forward, int width, int height,
                                       float* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = 2 * (y * width + x);
    Around at = around(x + backward[place], y + backward[place + 1], width, height);
    for (int c = 0; c < 2; c++)
        out[place + c] =
            0.5f * (backward[place + c] - between_them(forward + c, 2, width, at));
}

// The weight of what stood still is raised; it may be raised in place.
extern "C" __global__ void hold_still(const float* __restrict__ flow,
                                      const float* __restrict__ apart, int num, float per_px,
                                      float gain, const float* weight, float* out) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= num) return;
    float across = (flow[2 * index] + apart[0]) * per_px;
    float down = (flow[2 * index + 1] + apart[1]) * per_px;
    float still = expf(-(across * across + down * down));
    out[index] = weight[index] * (1.0f + (gain - 1.0f) * still);
}

// Where each pixel of a larger crop was, and the weight there.
extern "C" __global__ void enlarge_places(const float* __restrict__ flow,
                                          const float* __restrict__ weight, int width, int height,
                                          float* __restrict__ where, float* __restrict__ larger,
                                          int large_width, int large_height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= large_width || y >= large_height) return;
    float wide = static_cast<float>(width) / large_width;
    float tall = static_cast<float>(height) / large_height;
    Around at = around((x + 0.5f) * wide - 0.5f, (y + 0.5f) * tall - 0.5f, width, height);
    int place = y * large_width + x;
    where[2 * place] = x + between_them(flow, 2, width, at) / wide;
    where[2 * place + 1] = y + between_them(flow + 1, 2, width, at) / tall;
    larger[place] = between_them(weight, 1, width, at);
}
