// Reading pictures between their pixels.

__device__ int between(int value, int low, int high) { return min(max(value, low), high); }

// One channel of a picture that is averaged over blocks of 2^shift by 2^shift pixels: the value of
// a block, which must lie inside.
__device__ float block_mean(const unsigned char* image, int step, int channels, int shift,
                            int column, int row) {
    // The usual case, and without a division the cheap one.
    if (shift == 0) return image[static_cast<long long>(row) * step + column * channels];
    int size = 1 << shift, sum = 0;
    for (int y = row * size; y < (row + 1) * size; y++) {
        const unsigned char* line = image + static_cast<long long>(y) * step;
        for (int x = column * size; x < (column + 1) * size; x++) sum += line[x * channels];
    }
    return static_cast<float>(sum) / (size * size);
}

// Weights of the four values around a place for Keys' interpolation with a = -0.75, which OpenCV
// takes too; part is the distance from the second, 0..1.
__device__ void cubic_weights(float part, float* weights) {
    const float a = -0.75f;
    float before = part + 1.0f, after = 1.0f - part;
    weights[0] = ((a * before - 5.0f * a) * before + 8.0f * a) * before - 4.0f * a;
    weights[1] = ((a + 2.0f) * part - (a + 3.0f)) * part * part + 1.0f;
    weights[2] = ((a + 2.0f) * after - (a + 3.0f)) * after * after + 1.0f;
    weights[3] = 1.0f - weights[0] - weights[1] - weights[2];
}
