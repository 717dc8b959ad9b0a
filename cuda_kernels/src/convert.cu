// Between video's planes and BGR; see convert.py. Colours are whole numbers in 65536ths.
#include "sampling.cuh"

__device__ unsigned char level(int scaled) {
    return static_cast<unsigned char>(between((scaled + 32768) >> 16, 0, 255));
}

// Chroma around two by two pixels: three by three samples, those at the picture's edge repeated.
struct Chroma {
    int sample[3][3];
};

__device__ Chroma around(const unsigned char* plane, int column, int row, int width, int height,
                         int pixel_step, int row_step) {
    Chroma found;
    for (int j = 0; j < 3; j++) {
        long long line = static_cast<long long>(between(row + j - 1, 0, height - 1)) * row_step;
        for (int i = 0; i < 3; i++)
            found.sample[j][i] = plane[line + between(column + i - 1, 0, width - 1) * pixel_step];
    }
    return found;
}

// Chroma lies in the middle of two by two pixels: the nearer sample counts three times the farther.
__device__ int enlarged(const Chroma& chroma, int right, int below) {
    int beside = right ? 2 : 0, above = below ? 2 : 0;
    int first = 3 * chroma.sample[1][1] + chroma.sample[1][beside];
    int second = 3 * chroma.sample[above][1] + chroma.sample[above][beside];
    return (3 * first + second + 8) >> 4;
}

// A thread for each two by two pixels, which have their chroma in common.
extern "C" __global__ void bgr_from_planes(
    const unsigned char* __restrict__ luma, int luma_step,
    const unsigned char* __restrict__ blue, const unsigned char* __restrict__ red,
    int chroma_pixel_step, int chroma_row_step,
    unsigned char* __restrict__ out, int out_step, int width, int height,
    int b_y, int b_u, int b_v, int b_1, int g_y, int g_u, int g_v, int g_1,
    int r_y, int r_u, int r_v, int r_1) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (2 * column >= width || 2 * row >= height) return;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    Chroma u = around(blue, column, row, half_width, half_height, chroma_pixel_step,
                      chroma_row_step);
    Chroma v = around(red, column, row, half_width, half_height, chroma_pixel_step,
                      chroma_row_step);
    int levels[4];
    for (int index = 0; index < 4; index++) {
        int x = min(2 * column + (index & 1), width - 1);
        int y = min(2 * row + (index >> 1), height - 1);
        levels[index] = luma[static_cast<long long>(y) * luma_step + x];
    }
    for (int index = 0; index < 4; index++) {
        int x = 2 * column + (index & 1), y = 2 * row + (index >> 1);
        if (x >= width || y >= height) continue;
        int v_y = levels[index];
        int v_u = enlarged(u, index & 1, index >> 1), v_v = enlarged(v, index & 1, index >> 1);
        unsigned char* pixel = out + static_cast<long long>(y) * out_step + 3 * x;
        pixel[0] = level(b_y * v_y + b_u * v_u + b_v * v_v + b_1);
        pixel[1] = level(g_y * v_y + g_u * v_u + g_v * v_v + g_1);
        pixel[2] = level(r_y * v_y + r_u * v_u + r_v * v_v + r_1);
    }
}

// A thread for each two by two pixels; where the picture ends in between, its edge counts twice.
extern "C" __global__ void planes_from_bgr(
    const unsigned char* __restrict__ image, int image_step,
    unsigned char* __restrict__ luma, int luma_step,
    unsigned char* __restrict__ blue, unsigned char* __restrict__ red,
    int chroma_pixel_step, int chroma_row_step, int width, int height,
    int y_b, int y_g, int y_r, int y_1, int u_b, int u_g, int u_r, int u_1,
    int v_b, int v_g, int v_r, int v_1) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (2 * column >= width || 2 * row >= height) return;
    int u = 2, v = 2;
    for (int index = 0; index < 4; index++) {
        int x = min(2 * column + (index & 1), width - 1);
        int y = min(2 * row + (index >> 1), height - 1);
        const unsigned char* pixel = image + static_cast<long long>(y) * image_step + 3 * x;
        int b = pixel[0], g = pixel[1], r = pixel[2];
        luma[static_cast<long long>(y) * luma_step + x] = level(y_b * b + y_g * g + y_r * r + y_1);
        u += level(u_b * b + u_g * g + u_r * r + u_1);
        v += level(v_b * b + v_g * g + v_r * r + v_1);
    }
    long long place = static_cast<long long>(row) * chroma_row_step + column * chroma_pixel_step;
    blue[place] = static_cast<unsigned char>(u >> 2);
    red[place] = static_cast<unsigned char>(v >> 2);
}
