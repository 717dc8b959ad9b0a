// The finest detail of a face against that of the picture under it; see sharpness.py.
#include "sampling.cuh"

// A pixel beyond the edge is the one as far inside of it; the edge itself comes once.
__device__ int mirrored(int index, int count) {
    if (count == 1) return 0;
    while (index < 0 || index >= count) index = index < 0 ? -index : 2 * (count - 1) - index;
    return index;
}

const int most_reach = 16;

// Shares of a Gaussian from its middle outwards, together one; all threads of a block come here.
__device__ void fill_shares(float* shares, float sigma, int reach, int thread) {
    __shared__ float rough[most_reach + 1];
    if (thread <= reach) rough[thread] = expf(-0.5f * thread * thread / (sigma * sigma));
    __syncthreads();
    float whole = rough[0];
    for (int n = 1; n <= reach; n++) whole += 2.0f * rough[n];
    if (thread <= reach) shares[thread] = rough[thread] / whole;
    __syncthreads();
}

template <class T> __device__ float luma_at(const T* image, int width, int column, int row) {
    const T* pixel = image + 3 * (row * width + column);
    return 0.114f * pixel[0] + 0.587f * pixel[1] + 0.299f * pixel[2];
}

// How far the luma of a pixel is from the mean around it.
template <class T>
__device__ float detail_at(const T* image, int width, int height, int x, int y,
                           const float* shares, int reach) {
    float sum = 0.0f;
    for (int j = -reach; j <= reach; j++) {
        int row = mirrored(y + j, height);
        float line = 0.0f;
        for (int i = -reach; i <= reach; i++)
            line += shares[abs(i)] * luma_at(image, width, mirrored(x + i, width), row);
        sum += shares[abs(j)] * line;
    }
    return fabsf(luma_at(image, width, x, y) - sum);
}

struct Detail {
    unsigned long long own, wanted, num;
};

// Nothing has been seen yet.
extern "C" __global__ void clear_detail(unsigned long long* __restrict__ sums) {
    if (threadIdx.x < 3) sums[threadIdx.x] = 0;
}

// Sums over what is covered of the detail of both, in parts of a level, and the number of pixels.
// Whole numbers, so that the order in which blocks add them does not matter.
extern "C" __global__ void sum_detail(
    const float* __restrict__ face, const unsigned char* __restrict__ picture,
    const unsigned char* __restrict__ alpha, int width, int height, float sigma, int reach,
    int covered, float parts, unsigned long long* __restrict__ sums) {
    __shared__ Detail room[256];
    __shared__ float shares[most_reach + 1];
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    int thread = threadIdx.y * blockDim.x + threadIdx.x;
    fill_shares(shares, sigma, reach, thread);
    Detail own = {0, 0, 0};
    if (x < width && y < height && alpha[y * width + x] > covered) {
        float drawn = detail_at(face, width, height, x, y, shares, reach);
        float seen = detail_at(picture, width, height, x, y, shares, reach);
        own.own = static_cast<unsigned long long>(__float2int_rn(parts * drawn));
        own.wanted = static_cast<unsigned long long>(__float2int_rn(parts * seen));
        own.num = 1;
    }
    room[thread] = own;
    __syncthreads();
    for (int half = 128; half > 0; half >>= 1) {
        if (thread < half) {
            room[thread].own += room[thread + half].own;
            room[thread].wanted += room[thread + half].wanted;
            room[thread].num += room[thread + half].num;
        }
        __syncthreads();
    }
    if (thread == 0) {
        atomicAdd(&sums[0], room[0].own);
        atomicAdd(&sums[1], room[0].wanted);
        atomicAdd(&sums[2], room[0].num);
    }
}

// One thread: what the face's detail must be multiplied with, followed slowly.
extern "C" __global__ void follow_detail(
    const unsigned long long* __restrict__ sums, float parts, int least_num, float least_detail,
    float ratio, float least_gain, float rate, float* __restrict__ gain) {
    float now = 1.0f;
    if (sums[2] >= static_cast<unsigned long long>(least_num)) {
        float per = 1.0f / (parts * static_cast<float>(sums[2]));
        float own = max(static_cast<float>(sums[0]) * per, least_detail);
        float wanted = max(static_cast<float>(sums[1]) * per, least_detail);
        now = min(max(ratio * wanted / own, least_gain), 1.0f);
    }
    gain[0] = rate >= 1.0f ? now : gain[0] + rate * (now - gain[0]);
}

// The face with its finest detail multiplied.
extern "C" __global__ void soften(const float* __restrict__ face, int width, int height,
                                  float sigma, int reach, const float* __restrict__ gain,
                                  float all_detail, float* __restrict__ out) {
    __shared__ float shares[most_reach + 1];
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    fill_shares(shares, sigma, reach, threadIdx.y * blockDim.x + threadIdx.x);
    if (x >= width || y >= height) return;
    int place = 3 * (y * width + x);
    float share = gain[0];
    if (share > all_detail) {
        for (int c = 0; c < 3; c++) out[place + c] = face[place + c];
        return;
    }
    float mean[3] = {0.0f, 0.0f, 0.0f};
    for (int j = -reach; j <= reach; j++) {
        int row = mirrored(y + j, height);
        for (int i = -reach; i <= reach; i++) {
            const float* pixel = face + 3 * (row * width + mirrored(x + i, width));
            float weight = shares[abs(i)] * shares[abs(j)];
            for (int c = 0; c < 3; c++) mean[c] += weight * pixel[c];
        }
    }
    for (int c = 0; c < 3; c++)
        out[place + c] = mean[c] + share * (face[place + c] - mean[c]);
}
