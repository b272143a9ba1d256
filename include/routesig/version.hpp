/// \file version.hpp
/// The library's version; CMake and pyproject.toml read it from here.
#pragma once

#define ROUTESIG_VERSION_MAJOR 0
#define ROUTESIG_VERSION_MINOR 1
#define ROUTESIG_VERSION_PATCH 0
#define ROUTESIG_VERSION "0.1.0"

namespace routesig {

inline constexpr const char* kVersion = ROUTESIG_VERSION;

}  // namespace routesig
