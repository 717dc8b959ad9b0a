// The membrane of a Poisson blend by multigrid; see poisson.py.
//
// A level of the grid has for each pixel three floats of value, of residual and of work, and one of
// share: 1 where the value is free, 0 where it is given, in between where a pixel of a coarser
// level stands for some of both. In a solution value = share * (mean of the four around + residual).
#include "sampling.cuh"

// The first level: given values outside the mask, and how far those that touch it are from before.
extern "C" __global__ void prepare(
    const unsigned char* __restrict__ front, const unsigned char* __restrict__ back,
    const unsigned char* __restrict__ mask, int width, int height, int is_warm,
    float* __restrict__ value, float* __restrict__ share, float* __restrict__ known) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    bool is_free = false, is_touching = false;
    for (int j = y - 1; j <= y + 1; j++)
        for (int i = x - 1; i <= x + 1; i++) {
            if (i <= 0 || j <= 0 || i >= width - 1 || j >= height - 1) continue;
            bool is_inside = mask[j * width + i] >= 128;
            is_touching |= is_inside;
            is_free |= is_inside && i == x && j == y;
        }
    share[place] = is_free ? 1.0f : 0.0f;
    bool is_known = is_touching && !is_free;
    for (int c = 0; c < 3; c++) {
        float given = static_cast<float>(back[3 * place + c] - front[3 * place + c]);
        float before = is_warm ? value[3 * place + c] : 0.0f;
        known[4 * place + c] = is_known ? given - before : 0.0f;
        value[3 * place + c] = is_free ? before : given;
    }
    known[4 * place + 3] = is_known ? 1.0f : 0.0f;
}

// One given value in a coarse pixel outweighs its small area, so shares fall with the third power.
extern "C" __global__ void shrink_share(
    const float* __restrict__ share, int width, int height, float* __restrict__ smaller) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    if (x >= half_width || y >= half_height) return;
    float sum = 0.0f;
    for (int index = 0; index < 4; index++) {
        int i = 2 * x + (index & 1), j = 2 * y + (index >> 1);
        if (i < width && j < height) sum += share[j * width + i];
    }
    float mean = 0.25f * sum;
    smaller[y * half_width + x] = mean * mean * mean;
}

extern "C" __global__ void pull_known(
    const float* __restrict__ known, int width, int height, float* __restrict__ smaller) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    if (x >= half_width || y >= half_height) return;
    for (int c = 0; c < 4; c++) {
        float sum = 0.0f;
        for (int index = 0; index < 4; index++) {
            int i = 2 * x + (index & 1), j = 2 * y + (index >> 1);
            if (i < width && j < height) sum += known[4 * (j * width + i) + c];
        }
        smaller[4 * (y * half_width + x) + c] = sum;
    }
}

// Linear between the middles of the coarser level's pixels, flat beyond the last.
__device__ float enlarged(const float* coarser, int width, int height, int x, int y, int channel) {
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    int column = x >> 1, row = y >> 1;
    int beside = between(column + ((x & 1) ? 1 : -1), 0, half_width - 1);
    int above = between(row + ((y & 1) ? 1 : -1), 0, half_height - 1);
    float near = 0.75f * coarser[3 * (row * half_width + column) + channel] +
                 0.25f * coarser[3 * (row * half_width + beside) + channel];
    float far = 0.75f * coarser[3 * (above * half_width + column) + channel] +
                0.25f * coarser[3 * (above * half_width + beside) + channel];
    return 0.75f * near + 0.25f * far;
}

// The coarsest level: what is known, and its mean elsewhere.
extern "C" __global__ void fill_coarsest(
    const float* __restrict__ known, int num, float* __restrict__ value) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= num) return;
    float total[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int i = 0; i < num; i++)
        for (int c = 0; c < 4; c++) total[c] += known[4 * i + c];
    float weight = known[4 * index + 3];
    for (int c = 0; c < 3; c++)
        value[3 * index + c] = weight > 0.0f ? known[4 * index + c] / weight
                                             : total[c] / max(total[3], 1.0f);
}

// A finer level: what is known, and elsewhere what the coarser one says.
extern "C" __global__ void push_known(
    const float* __restrict__ known, int width, int height, const float* __restrict__ coarser,
    float* __restrict__ value) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    float weight = known[4 * place + 3];
    for (int c = 0; c < 3; c++)
        value[3 * place + c] = weight > 0.0f ? known[4 * place + c] / weight
                                             : enlarged(coarser, width, height, x, y, c);
}

// The mean of the four around; nothing beyond the edge.
__device__ float around(const float* value, int width, int height, int x, int y, int channel) {
    int place = 3 * (y * width + x) + channel;
    float sum = 0.0f;
    if (x > 0) sum += value[place - 3];
    if (x < width - 1) sum += value[place + 3];
    if (y > 0) sum += value[place - 3 * width];
    if (y < height - 1) sum += value[place + 3 * width];
    return 0.25f * sum;
}

// A damped Jacobi step from one array into another.
extern "C" __global__ void smooth(
    const float* __restrict__ value, const float* __restrict__ residual, int has_residual,
    const float* __restrict__ share, int width, int height, float weight, float* __restrict__ out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int place = y * width + x;
    float part = share[place];
    for (int c = 0; c < 3; c++) {
        float now = value[3 * place + c];
        if (part > 0.0f) {
            float pulled = around(value, width, height, x, y, c);
            if (has_residual) pulled += residual[3 * place + c];
            now += weight * (part * pulled - now);
        }
        out[3 * place + c] = now;
    }
}

// The same step from zero.
extern "C" __global__ void smooth_nothing(
    const float* __restrict__ residual, const float* __restrict__ share, int num, float weight,
    float* __restrict__ out) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= num) return;
    for (int c = 0; c < 3; c++)
        out[3 * index + c] = weight * (share[index] * residual[3 * index + c]);
}

// What is missing, summed over two by two pixels, is the coarser level's residual.
extern "C" __global__ void restrict_residual(
    const float* __restrict__ value, const float* __restrict__ residual, int has_residual,
    const float* __restrict__ share, int width, int height, float* __restrict__ coarser) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    int half_width = (width + 1) >> 1, half_height = (height + 1) >> 1;
    if (x >= half_width || y >= half_height) return;
    for (int c = 0; c < 3; c++) {
        float sum = 0.0f;
        for (int index = 0; index < 4; index++) {
            int i = 2 * x + (index & 1), j = 2 * y + (index >> 1);
            if (i >= width || j >= height) continue;
            int place = j * width + i;
            if (share[place] <= 0.0f) continue;
            float pulled = around(value, width, height, i, j, c);
            if (has_residual) pulled += residual[3 * place + c];
            sum += share[place] * pulled - value[3 * place + c];
        }
        coarser[3 * (y * half_width + x) + c] = sum;
    }
}

extern "C" __global__ void correct(
    const float* __restrict__ coarser, const float* __restrict__ share, int width, int height,
    float* __restrict__ value) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height || share[y * width + x] <= 0.0f) return;
    for (int c = 0; c < 3; c++)
        value[3 * (y * width + x) + c] += enlarged(coarser, width, height, x, y, c);
}

// One block smooths the coarsest level from zero until nothing moves that would be seen.
extern "C" __global__ void solve_coarsest(
    const float* __restrict__ residual, const float* __restrict__ share, int width, int height,
    float weight, int num_steps, float* __restrict__ value, float* __restrict__ work) {
    int num = width * height;
    for (int index = threadIdx.x; index < 3 * num; index += blockDim.x) value[index] = 0.0f;
    __syncthreads();
    for (int step = 0; step < num_steps; step++) {
        const float* from = step & 1 ? work : value;
        float* to = step & 1 ? value : work;
        for (int index = threadIdx.x; index < num; index += blockDim.x)
            for (int c = 0; c < 3; c++) {
                float pulled = around(from, width, height, index % width, index / width, c) +
                               residual[3 * index + c];
                float now = from[3 * index + c];
                to[3 * index + c] = now + weight * (share[index] * pulled - now);
            }
        __syncthreads();
    }
}

// One of the pictures may be written over.
extern "C" __global__ void add_membrane(
    const unsigned char* front, const unsigned char* back, const float* __restrict__ value,
    const float* __restrict__ share, int num, unsigned char* out) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= num) return;
    for (int c = 3 * index; c < 3 * index + 3; c++) {
        float level = min(max(front[c] + value[c], 0.0f), 255.0f);
        out[c] = share[index] > 0.0f ? static_cast<unsigned char>(__float2int_rn(level)) : back[c];
    }
}
