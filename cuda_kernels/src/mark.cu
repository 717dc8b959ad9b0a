// What says that a picture is artificial, laid over it; see mark.py.
#include "sampling.cuh"

// The pattern, saturated in both directions; in boxes (left, top, right, bottom) a share of it.
extern "C" __global__ void add_pattern(
    unsigned char* __restrict__ image, int step, const unsigned char* __restrict__ lighter,
    int lighter_step, const unsigned char* __restrict__ darker, int darker_step,
    const int* __restrict__ boxes, int num_boxes, float share, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    unsigned char* pixel = image + static_cast<long long>(y) * step + 3 * x;
    const unsigned char* more = lighter + static_cast<long long>(y) * lighter_step + 3 * x;
    const unsigned char* less = darker + static_cast<long long>(y) * darker_step + 3 * x;
    int before[3], level[3];
    for (int c = 0; c < 3; c++) {
        before[c] = pixel[c];
        level[c] = max(min(before[c] + more[c], 255) - less[c], 0);
    }
    for (int index = 0; index < num_boxes; index++) {
        const int* box = boxes + 4 * index;
        if (x < box[0] || y < box[1] || x >= box[2] || y >= box[3]) continue;
        for (int c = 0; c < 3; c++)
            level[c] = __float2int_rn(share * level[c] + (1.0f - share) * before[c]);
    }
    for (int c = 0; c < 3; c++) pixel[c] = static_cast<unsigned char>(level[c]);
}

extern "C" __global__ void lay_label(
    unsigned char* __restrict__ image, int step, const unsigned char* __restrict__ keep,
    int keep_step, const unsigned char* __restrict__ light, int light_step, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    unsigned char* pixel = image + static_cast<long long>(y) * step + 3 * x;
    const unsigned char* kept = keep + static_cast<long long>(y) * keep_step + 3 * x;
    const unsigned char* added = light + static_cast<long long>(y) * light_step + 3 * x;
    for (int c = 0; c < 3; c++) {
        // 255 is odd, so that no product lies in the middle between two levels.
        int through = (2 * pixel[c] * kept[c] + 255) / 510;
        pixel[c] = static_cast<unsigned char>(min(through + added[c], 255));
    }
}
