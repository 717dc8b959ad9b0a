// Triangles with values at their corners, drawn with depth; see rasterize.py.
//
// Doubles hold the products of two floats' differences as they are, so a pixel on the edge between
// two triangles is never lost to both.

// Depth in the upper half: the smallest number is the nearest triangle, the first of equals.
__device__ unsigned long long key_of(float depth, int triangle) {
    unsigned int bits = __float_as_uint(depth);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (static_cast<unsigned long long>(bits) << 32) | static_cast<unsigned int>(triangle);
}

struct Shares {
    double corner[3];
    bool is_inside;
};

// Twice the area between an edge and a place; the same number with the other sign for the way back.
__device__ double beside(const float* points, int from, int to, double x, double y) {
    double sign = from < to ? 1.0 : -1.0;
    int a = from < to ? from : to, b = from < to ? to : from;
    double wide = static_cast<double>(points[2 * b]) - points[2 * a];
    double tall = static_cast<double>(points[2 * b + 1]) - points[2 * a + 1];
    return sign * (wide * (y - points[2 * a + 1]) - tall * (x - points[2 * a]));
}

__device__ Shares shares_at(const float* points, const int* corners, double x, double y) {
    double area = beside(points, corners[0], corners[1], points[2 * corners[2]],
                         points[2 * corners[2] + 1]);
    Shares shares = {{0.0, 0.0, 0.0}, area != 0.0};
    for (int c = 0; c < 3 && shares.is_inside; c++) {
        shares.corner[c] = beside(points, corners[(c + 1) % 3], corners[(c + 2) % 3], x, y) / area;
        shares.is_inside = shares.corner[c] >= 0.0;
    }
    return shares;
}

extern "C" __global__ void clear_keys(unsigned long long* __restrict__ keys, int num) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < num) keys[index] = ~0ull;
}

// A block for each triangle; its threads share the pixels around it.
extern "C" __global__ void draw_depth(
    const float* __restrict__ points, const float* __restrict__ depth,
    const int* __restrict__ triangles, unsigned long long* __restrict__ keys, int width,
    int height) {
    const int* corners = triangles + 3 * blockIdx.x;
    float low_x = points[2 * corners[0]], high_x = low_x;
    float low_y = points[2 * corners[0] + 1], high_y = low_y;
    for (int c = 1; c < 3; c++) {
        low_x = min(low_x, points[2 * corners[c]]);
        high_x = max(high_x, points[2 * corners[c]]);
        low_y = min(low_y, points[2 * corners[c] + 1]);
        high_y = max(high_y, points[2 * corners[c] + 1]);
    }
    int left = static_cast<int>(min(max(ceilf(low_x), 0.0f), static_cast<float>(width)));
    int top = static_cast<int>(min(max(ceilf(low_y), 0.0f), static_cast<float>(height)));
    int right = static_cast<int>(min(max(floorf(high_x), -1.0f), width - 1.0f));
    int bottom = static_cast<int>(min(max(floorf(high_y), -1.0f), height - 1.0f));
    int columns = right - left + 1, rows = bottom - top + 1;
    if (columns <= 0 || rows <= 0) return;
    for (int index = threadIdx.x; index < columns * rows; index += blockDim.x) {
        int x = left + index % columns, y = top + index / columns;
        Shares shares = shares_at(points, corners, x, y);
        if (!shares.is_inside) continue;
        double far = 0.0;
        for (int c = 0; c < 3; c++) far += shares.corner[c] * depth[corners[c]];
        atomicMin(&keys[y * width + x], key_of(static_cast<float>(far), blockIdx.x));
    }
}

extern "C" __global__ void draw_values(
    const float* __restrict__ points, const int* __restrict__ triangles,
    const float* __restrict__ values, const unsigned long long* __restrict__ keys,
    float* __restrict__ out, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    unsigned long long key = keys[place];
    double sum[3] = {0.0, 0.0, 0.0};
    if (key != ~0ull) {
        const int* corners = triangles + 3 * static_cast<int>(key & 0xffffffffull);
        Shares shares = shares_at(points, corners, x, y);
        for (int corner = 0; corner < 3; corner++)
            for (int c = 0; c < 3; c++)
                sum[c] += shares.corner[corner] * values[3 * corners[corner] + c];
    }
    for (int c = 0; c < 3; c++) out[3 * place + c] = static_cast<float>(sum[c]);
}
