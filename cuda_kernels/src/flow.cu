// Dense optical flow from coarse to fine; see flow.py.
#include "sampling.cuh"

constexpr int reach = 3;

extern "C" __global__ void grey_from_bgr(const unsigned char* __restrict__ image, int step,
                                         int width, int height, unsigned char* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const unsigned char* pixel = image + static_cast<long long>(y) * step + 3 * x;
    out[y * width + x] =
        static_cast<unsigned char>((29 * pixel[0] + 150 * pixel[1] + 77 * pixel[2] + 128) >> 8);
}

// The mean of two by two pixels; a last row or column without a partner is left out.
extern "C" __global__ void halve_grey(const unsigned char* __restrict__ grey, int width,
                                      unsigned char* __restrict__ out, int out_width,
                                      int out_height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= out_width || y >= out_height) return;
    const unsigned char* upper = grey + 2 * y * width + 2 * x;
    const unsigned char* lower = upper + width;
    out[y * out_width + x] =
        static_cast<unsigned char>((upper[0] + upper[1] + lower[0] + lower[1] + 2) >> 2);
}

struct Shift {
    float across, down;
};

// The flow that a coarser level, or an earlier step on the same one, has found for a pixel.
__device__ Shift prior(const float* flow, int flow_width, int flow_height, int width, int height,
                       int x, int y) {
    if (flow_width == 0) return {0.0f, 0.0f};
    if (flow_width == width && flow_height == height) {
        const float* own = flow + 2 * (y * width + x);
        return {own[0], own[1]};
    }
    float wide = static_cast<float>(flow_width) / width;
    float tall = static_cast<float>(flow_height) / height;
    float from_x = min(max((x + 0.5f) * wide - 0.5f, 0.0f), flow_width - 1.0f);
    float from_y = min(max((y + 0.5f) * tall - 0.5f, 0.0f), flow_height - 1.0f);
    int left = static_cast<int>(from_x), top = static_cast<int>(from_y);
    int right = min(left + 1, flow_width - 1), bottom = min(top + 1, flow_height - 1);
    float across = from_x - left, down = from_y - top, found[2];
    for (int c = 0; c < 2; c++) {
        float upper = flow[2 * (top * flow_width + left) + c] * (1.0f - across) +
                      flow[2 * (top * flow_width + right) + c] * across;
        float lower = flow[2 * (bottom * flow_width + left) + c] * (1.0f - across) +
                      flow[2 * (bottom * flow_width + right) + c] * across;
        found[c] = upper * (1.0f - down) + lower * down;
    }
    return {found[0] / wide, found[1] / tall};
}

__device__ float grey_at(const unsigned char* grey, int width, int height, float x, float y) {
    x = min(max(x, 0.0f), width - 1.0f);
    y = min(max(y, 0.0f), height - 1.0f);
    int left = static_cast<int>(x), top = static_cast<int>(y);
    int right = min(left + 1, width - 1), bottom = min(top + 1, height - 1);
    float across = x - left, down = y - top;
    float upper = grey[top * width + left] * (1.0f - across) + grey[top * width + right] * across;
    float lower =
        grey[bottom * width + left] * (1.0f - across) + grey[bottom * width + right] * across;
    return upper * (1.0f - down) + lower * down;
}

// One Gauss-Newton step. Blocks of 32 by 8 threads find what their window's pixels contribute
// together: slopes of the new picture, and how far it differs from the old one at the flow so far.
constexpr int tile_width = 32, tile_height = 8;
constexpr int wide = tile_width + 2 * reach, tall = tile_height + 2 * reach;

extern "C" __global__ void flow_step(const unsigned char* __restrict__ before,
                                     const unsigned char* __restrict__ now, int width, int height,
                                     const float* __restrict__ flow, int flow_width,
                                     int flow_height, float stiffness, float limit,
                                     float* __restrict__ out) {
    __shared__ float slope_x[tall][wide], slope_y[tall][wide], change[tall][wide];
    int first_x = blockIdx.x * tile_width - reach, first_y = blockIdx.y * tile_height - reach;
    int own = threadIdx.y * tile_width + threadIdx.x;
    for (int index = own; index < wide * tall; index += tile_width * tile_height) {
        int x = between(first_x + index % wide, 0, width - 1);
        int y = between(first_y + index / wide, 0, height - 1);
        const unsigned char* row = now + y * width;
        slope_x[index / wide][index % wide] =
            0.5f * (row[min(x + 1, width - 1)] - row[max(x - 1, 0)]);
        slope_y[index / wide][index % wide] =
            0.5f * (now[min(y + 1, height - 1) * width + x] - now[max(y - 1, 0) * width + x]);
        Shift there = prior(flow, flow_width, flow_height, width, height, x, y);
        change[index / wide][index % wide] =
            grey_at(before, width, height, x + there.across, y + there.down) - row[x];
    }
    __syncthreads();
    int x = first_x + reach + threadIdx.x, y = first_y + reach + threadIdx.y;
    if (x >= width || y >= height) return;
    float xx = stiffness, xy = 0.0f, yy = stiffness, right_x = 0.0f, right_y = 0.0f;
    for (int j = 0; j <= 2 * reach; j++)
        for (int i = 0; i <= 2 * reach; i++) {
            int row = threadIdx.y + j, column = threadIdx.x + i;
            float across = slope_x[row][column], down = slope_y[row][column];
            xx += across * across;
            xy += across * down;
            yy += down * down;
            right_x += across * change[row][column];
            right_y += down * change[row][column];
        }
    float determinant = xx * yy - xy * xy;
    float step_x = (xy * right_y - yy * right_x) / determinant;
    float step_y = (xy * right_x - xx * right_y) / determinant;
    Shift there = prior(flow, flow_width, flow_height, width, height, x, y);
    out[2 * (y * width + x)] = there.across + min(max(step_x, -limit), limit);
    out[2 * (y * width + x) + 1] = there.down + min(max(step_y, -limit), limit);
}

// The mean of 5 by 5 pixels, the edge going on beyond: without it the steps of neighbours, each of
// which is told what the others have moved already, would overshoot.
extern "C" __global__ void smooth_flow(const float* __restrict__ flow, int width, int height,
                                       float* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float across = 0.0f, down = 0.0f;
    for (int j = -2; j <= 2; j++)
        for (int i = -2; i <= 2; i++) {
            int place = between(y + j, 0, height - 1) * width + between(x + i, 0, width - 1);
            across += flow[2 * place];
            down += flow[2 * place + 1];
        }
    out[2 * (y * width + x)] = across / 25.0f;
    out[2 * (y * width + x) + 1] = down / 25.0f;
}

// Where each pixel was.
extern "C" __global__ void places_from_flow(const float* __restrict__ flow, int width, int height,
                                            float* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = 2 * (y * width + x);
    out[place] = x + flow[place];
    out[place + 1] = y + flow[place + 1];
}
