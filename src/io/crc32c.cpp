#include "crc32c.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace routesig::io {
namespace {

// table[n][b]: what the byte b becomes when n more bytes have gone by. 0x82F63B78 is the polynomial, bits reversed.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables table{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82F6'3B78U : 0U);
    table[0][b] = crc;
  }
  for (std::size_t n = 1; n < 8; ++n)
    for (std::size_t b = 0; b < 256; ++b) table[n][b] = (table[n - 1][b] >> 8) ^ table[0][table[n - 1][b] & 0xFFU];
  return table;
}

constexpr Tables kTables = make_tables();

[[nodiscard]] std::uint32_t one_byte(std::uint32_t state, char byte) noexcept {
  return (state >> 8) ^ kTables[0][(state ^ static_cast<unsigned char>(byte)) & 0xFFU];
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t state, std::string_view bytes) noexcept {
  std::uint64_t wide = state;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (const char byte : bytes) narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(byte));
  return narrow;
}
#endif

}  // namespace

std::uint32_t crc32c_table(std::uint32_t state, std::string_view bytes) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), 8);
      word ^= state;
      state = 0;
      for (std::size_t i = 0; i < 8; ++i) state ^= kTables[7 - i][(word >> (8 * i)) & 0xFFU];
    }
  }
  for (const char byte : bytes) state = one_byte(state, byte);
  return state;
}

std::uint32_t crc32c_fast(std::uint32_t state, std::string_view bytes) noexcept {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return by_instruction(state, bytes);
#endif
  return crc32c_table(state, bytes);
}

void Crc32c::update(std::string_view bytes) noexcept { state_ = crc32c_fast(state_, bytes); }

std::string Crc32c::hex() const {
  std::string out;
  for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[(value() >> shift) & 0xFU];
  return out;
}

}  // namespace routesig::io
