// The likeliest face of a detector's outputs; see pick.py.

// The smallest key wins: the higher the score the smaller, and of equal ones the first.
__device__ unsigned long long key_of(float score, int index) {
    unsigned long long worse = 0xffffffffu - __float_as_uint(score);
    return (worse << 32) | static_cast<unsigned int>(index);
}

extern "C" __global__ void clear_key(unsigned long long* __restrict__ key) {
    if (blockIdx.x == 0 && threadIdx.x == 0) *key = ~0ull;
}

// Scores of one level; those below the least do not count, nor does what is no number.
extern "C" __global__ void find_best(const float* __restrict__ scores, int num, int first,
                                     float least, unsigned long long* __restrict__ key) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < num && scores[index] >= least) atomicMin(key, key_of(scores[index], first + index));
}

// If the best is of this level, its box and points: a single thread.
extern "C" __global__ void read_best(const unsigned long long* __restrict__ key,
                                     const float* __restrict__ boxes,
                                     const float* __restrict__ points, int num, int first,
                                     int columns, int anchors, int stride, int is_first,
                                     float* __restrict__ out) {
    if (blockIdx.x != 0 || threadIdx.x != 0) return;
    if (is_first)
        for (int n = 0; n < 15; n++) out[n] = 0.0f;
    int index = static_cast<int>(static_cast<unsigned int>(*key & 0xffffffffu)) - first;
    if (*key == ~0ull || index < 0 || index >= num) return;
    int cell = index / anchors;
    float x = static_cast<float>(cell % columns * stride);
    float y = static_cast<float>(cell / columns * stride);
    out[0] = __uint_as_float(0xffffffffu - static_cast<unsigned int>(*key >> 32));
    for (int n = 0; n < 4; n++) {
        float reach = boxes[4 * index + n] * stride;
        float middle = (n & 1) ? y : x;
        out[1 + n] = n < 2 ? middle - reach : middle + reach;
    }
    for (int n = 0; n < 10; n++)
        out[5 + n] = ((n & 1) ? y : x) + points[10 * index + n] * stride;
}
