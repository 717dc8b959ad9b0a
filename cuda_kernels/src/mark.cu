// What says that a picture is artificial, laid over it; see mark.py.

// A thread for each pixel; so many lines of the picture have one of the pattern.
extern "C" __global__ void add_pattern(
    unsigned char* __restrict__ image, int step, const signed char* __restrict__ pattern,
    int pattern_step, int lines, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    unsigned char* pixel = image + static_cast<long long>(y) * step + 3 * x;
    const signed char* more = pattern + static_cast<long long>(y / lines) * pattern_step + 3 * x;
    for (int c = 0; c < 3; c++)
        pixel[c] = static_cast<unsigned char>(min(max(pixel[c] + more[c], 0), 255));
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
