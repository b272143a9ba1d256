// A file that takes no byte: ENOSPC.
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>

namespace routesig::testing {

/// Makes `path` what /dev/full is; false where this user or file system may not.
[[nodiscard]] inline bool make_full(const std::filesystem::path& path) {
  return ::mknod(path.c_str(), S_IFCHR | 0600U, ::makedev(1, 7)) == 0;
}

}  // namespace routesig::testing
