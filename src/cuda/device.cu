// Answers what device.hpp asks.
#include "device.hpp"

#include "error.cuh"

namespace routesig::cuda {

int compute_capability(int device) {
  int major = 0, minor = 0;
  refuse(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "an unknown device");
  refuse(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "an unknown device");
  return 10 * major + minor;
}

}  // namespace routesig::cuda
