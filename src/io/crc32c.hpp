/// \file crc32c.hpp
/// The Castagnoli checksum (RFC 3720, appendix B.4), fed in pieces.
///
///     Crc32c crc;
///     crc.update("12345");
///     crc.update("6789");
///     crc.value();   // 0xE3069283
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace routesig::io {

class Crc32c {
 public:
  void update(std::string_view bytes) noexcept;
  [[nodiscard]] std::uint32_t value() const noexcept { return ~state_; }
  /// Eight lower-case hexadecimal digits.
  [[nodiscard]] std::string hex() const;

 private:
  std::uint32_t state_ = 0xFFFF'FFFFU;
};

/// One step of both implementations, for the test that compares them: the state before, the state after.
[[nodiscard]] std::uint32_t crc32c_table(std::uint32_t state, std::string_view bytes) noexcept;
/// By the processor's own instruction; the table where it has none.
[[nodiscard]] std::uint32_t crc32c_fast(std::uint32_t state, std::string_view bytes) noexcept;

}  // namespace routesig::io
