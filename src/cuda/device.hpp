// What is asked of a CUDA device. Plain C++: whoever asks needs no CUDA header.
#pragma once

namespace routesig::cuda {

// Ten times the compute capability: 80, 90, 100, ... Throws std::runtime_error with CUDA's reason where there is no
// such device.
[[nodiscard]] int compute_capability(int device);

}  // namespace routesig::cuda
