// A mask that fades towards its edge; see feather.py. Whole numbers throughout.

// Rows convolved with weights that fall off linearly, one more than the radius in the middle.
extern "C" __global__ void feather_rows(
    const unsigned char* __restrict__ mask, int step, int width, int height, int radius,
    int* __restrict__ sums) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
    const unsigned char* line = mask + static_cast<long long>(row) * step;
    int sum = 0;
    for (int k = max(-radius, -column); k <= min(radius, width - 1 - column); k++)
        sum += (radius + 1 - abs(k)) * line[column + k];
    sums[row * width + column] = sum;
}

// The same along columns; what is more than half is brought to 0..255.
extern "C" __global__ void feather_columns(
    const int* __restrict__ sums, int width, int height, int radius,
    unsigned char* __restrict__ out, int step) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
    long long sum = 0;
    for (int k = max(-radius, -row); k <= min(radius, height - 1 - row); k++)
        sum += static_cast<long long>(radius + 1 - abs(k)) * sums[(row + k) * width + column];
    long long whole = static_cast<long long>(radius + 1) * (radius + 1);
    whole *= whole;
    long long level = (4 * sum + whole) / (2 * whole) - 255;
    out[static_cast<long long>(row) * step + column] =
        static_cast<unsigned char>(level < 0 ? 0 : level);
}
