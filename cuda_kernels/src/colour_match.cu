// How often every luma and chroma occurs in two pictures, and one picture moved towards the other's
// colours; see colour_match.py. Luma and chroma are whole numbers, the same that OpenCV computes.
#include "sampling.cuh"

struct LumaChroma {
    int level[3];
};

__device__ LumaChroma luma_chroma(const unsigned char* pixel) {
    int b = pixel[0], g = pixel[1], r = pixel[2];
    int y = (1868 * b + 9617 * g + 4899 * r + 8192) >> 14;
    int red = (((r - y) * 11682 + 8192) >> 14) + 128;
    int blue = (((b - y) * 9241 + 8192) >> 14) + 128;
    return {{y, between(red, 0, 255), between(blue, 0, 255)}};
}

extern "C" __global__ void clear_counts(unsigned int* __restrict__ counts, int num) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < num) counts[index] = 0;
}

// Blocks of 256 threads; each counts a few rows for itself before it adds to what all count.
extern "C" __global__ void count_levels(
    const unsigned char* __restrict__ image, int step,
    const unsigned char* __restrict__ mask, int mask_step, int width, int height,
    unsigned int* __restrict__ counts) {
    __shared__ unsigned int own[3 * 256];
    for (int index = threadIdx.x; index < 3 * 256; index += blockDim.x) own[index] = 0;
    __syncthreads();
    for (int row = blockIdx.x; row < height; row += gridDim.x)
        for (int column = threadIdx.x; column < width; column += blockDim.x) {
            if (mask[static_cast<long long>(row) * mask_step + column] < 128) continue;
            const unsigned char* pixel = image + static_cast<long long>(row) * step + 3 * column;
            LumaChroma seen = luma_chroma(pixel);
            for (int c = 0; c < 3; c++) atomicAdd(&own[256 * c + seen.level[c]], 1u);
        }
    __syncthreads();
    for (int index = threadIdx.x; index < 3 * 256; index += blockDim.x)
        if (own[index] > 0) atomicAdd(&counts[index], own[index]);
}

// Where mean and deviation lead a level.
__device__ double by_moments(const unsigned int* ours, const unsigned int* theirs, int level) {
    double mean[2], variance[2];
    for (int side = 0; side < 2; side++) {
        const unsigned int* counts = side ? theirs : ours;
        unsigned long long num = 0, sum = 0, squares = 0;
        for (int value = 0; value < 256; value++) {
            unsigned long long count = counts[value];
            num += count;
            sum += count * value;
            squares += count * value * value;
        }
        mean[side] = static_cast<double>(sum) / num;
        variance[side] = static_cast<double>(squares) / num - mean[side] * mean[side];
    }
    double gain = sqrt((max(variance[1], 0.0) + 1.0) / (max(variance[0], 0.0) + 1.0));
    return mean[1] + min(max(gain, 0.5), 2.0) * (level - mean[0]);
}

// Where a level's rank leads: to the level of the same rank, linear between the middles of levels.
__device__ double by_rank(const unsigned int* ours, const unsigned int* theirs,
                          unsigned int our_num, unsigned int their_num, int level) {
    unsigned long long below = 0;
    for (int value = 0; value < level; value++) below += ours[value];
    // Twice the count up to the middle of a level, brought to the other picture's size.
    unsigned long long rank = (2 * below + ours[level]) * their_num;
    unsigned long long total = 0, before = 0;
    for (int value = 0; value < 256; value++) {
        unsigned long long middle = (2 * total + theirs[value]) * our_num;
        if (middle >= rank) {
            if (value == 0) return 0.0;
            double gap = static_cast<double>(middle - before);
            return value - static_cast<double>(middle - rank) / gap;
        }
        before = middle;
        total += theirs[value];
    }
    return 255.0;
}

// Three blocks of 256 threads, one for luma and each chroma.
extern "C" __global__ void find_shift(
    const unsigned int* __restrict__ counts, int is_rank, float rate, float* __restrict__ shift) {
    __shared__ unsigned int ours[256], theirs[256];
    __shared__ unsigned int nums[2];
    int level = threadIdx.x, first = 256 * blockIdx.x;
    ours[level] = counts[first + level];
    theirs[level] = counts[3 * 256 + first + level];
    if (level < 2) nums[level] = 0;
    __syncthreads();
    atomicAdd(&nums[0], ours[level]);
    atomicAdd(&nums[1], theirs[level]);
    __syncthreads();
    float wanted = 0.0f;
    if (nums[0] > 0 && nums[1] > 0) {
        // A level that does not occur moves as far as the next below that does, or else above.
        int at = level;
        if (is_rank) {
            while (at > 0 && ours[at] == 0) at--;
            while (ours[at] == 0) at++;
        }
        double there = is_rank ? by_rank(ours, theirs, nums[0], nums[1], at)
                               : by_moments(ours, theirs, at);
        wanted = static_cast<float>(there - at);
    }
    float before = shift[first + level];
    shift[first + level] = rate >= 1.0f ? wanted : before + rate * (wanted - before);
}

// The face may be shifted in place. Each thread takes four pixels, a block apart, and reads all of
// them before it writes, so that more of them are on their way at once.
extern "C" __global__ void shift_colours(
    const unsigned char* face, int step, int width, int height, const float* __restrict__ shift,
    float strength, unsigned char* out, int out_step) {
    const int num = 4;
    int first = num * blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (first >= width || row >= height) return;
    unsigned char pixels[num][3];
    for (int n = 0; n < num; n++) {
        int column = min(first + n * static_cast<int>(blockDim.x), width - 1);
        const unsigned char* pixel = face + static_cast<long long>(row) * step + 3 * column;
        for (int c = 0; c < 3; c++) pixels[n][c] = pixel[c];
    }
    for (int n = 0; n < num; n++) {
        int column = first + n * static_cast<int>(blockDim.x);
        if (column >= width) return;
        LumaChroma seen = luma_chroma(pixels[n]);
        float luma = strength * shift[seen.level[0]];
        float red = strength * shift[256 + seen.level[1]];
        float blue = strength * shift[512 + seen.level[2]];
        float change[3] = {luma + 1.773f * blue, luma - 0.714f * red - 0.344f * blue,
                           luma + 1.403f * red};
        unsigned char* target = out + static_cast<long long>(row) * out_step + 3 * column;
        for (int c = 0; c < 3; c++) {
            int level = __float2int_rn(pixels[n][c] + change[c]);
            target[c] = static_cast<unsigned char>(between(level, 0, 255));
        }
    }
}

// The sum over the 256 threads of a block, for all of them.
__device__ double sum_of_block(double* room, double value) {
    room[threadIdx.x] = value;
    __syncthreads();
    for (int half = 128; half > 0; half >>= 1) {
        if (static_cast<int>(threadIdx.x) < half) room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    double sum = room[0];
    __syncthreads();
    return sum;
}

struct Spread {
    double mean, deviation;
};

__device__ Spread spread_of(double* room, double share, int level) {
    double mean = sum_of_block(room, share * level);
    double square = sum_of_block(room, share * (level - mean) * (level - mean));
    return {mean, sqrt(square)};
}

// Three blocks of 256 threads, one for luma and each chroma.
extern "C" __global__ void gentle_shift(const float* __restrict__ shift,
                                        const unsigned int* __restrict__ counts, int window,
                                        float most_slope, float most_shift, float grey,
                                        float colourful, float* __restrict__ out) {
    __shared__ double room[256], wanted[256], made[256];
    int level = threadIdx.x, channel = blockIdx.x, place = 256 * channel + level;
    double our_num = sum_of_block(room, counts[place]);
    double their_num = sum_of_block(room, counts[3 * 256 + place]);
    if (our_num == 0.0 || their_num == 0.0) {
        out[place] = 0.0f;
        return;
    }
    double mean = 0.0;
    for (int beside = -(window / 2); beside <= window / 2; beside++)
        mean += shift[256 * channel + between(level + beside, 0, 255)];
    wanted[level] = mean / window + level;
    __syncthreads();
    double slope = level > 0 ? wanted[level] - wanted[level - 1] : 0.0;
    made[level] = min(max(slope, 0.0), static_cast<double>(most_slope));
    __syncthreads();
    for (int reach = 1; reach < 256; reach <<= 1) {
        double before = level >= reach ? made[level - reach] : 0.0;
        __syncthreads();
        made[level] += before;
        __syncthreads();
    }
    // Limiting the slopes must not move the face as a whole.
    double own = made[level];
    own += sum_of_block(room, (wanted[level] - own) * (counts[place] / our_num));
    if (channel > 0) {
        // Where the picture has no colour at all the face's is taken away, both kinds alike.
        double least = 1.0, middle = 0.0;
        for (int chroma = 1; chroma < 3; chroma++) {
            double share = counts[(3 + chroma) * 256 + level] / their_num;
            Spread seen = spread_of(room, share, level);
            double part = (seen.deviation - grey) / (colourful - grey);
            least = min(least, 1.0 - min(max(part, 0.0), 1.0));
            if (chroma == channel) middle = seen.mean;
        }
        own += least * (middle - own);
    }
    double moved = min(max(own - level, -static_cast<double>(most_shift)),
                       static_cast<double>(most_shift));
    out[place] = static_cast<float>(moved);
}
