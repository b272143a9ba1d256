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
// The instruction takes three cycles but starts every cycle: three strips of a block go side by side.
constexpr std::size_t kStrip = 128;

/// What a state is multiplied with so that the instruction, which multiplies by x^33 more, moves it past `bytes` bytes.
constexpr std::uint64_t past(std::size_t bytes) {
  std::uint32_t power = 0x8000'0000U;  // x^0, bits reversed
  for (std::size_t n = 8 * bytes - 33; n > 0; --n) power = (power >> 1) ^ ((power & 1U) != 0 ? 0x82F6'3B78U : 0U);
  return power;
}

constexpr std::uint64_t kPastOne = past(kStrip), kPastTwo = past(2 * kStrip);

__attribute__((target("sse4.2,pclmul"))) std::uint64_t moved(std::uint64_t state, std::uint64_t factor) noexcept {
  using Words = long long __attribute__((vector_size(16)));
  const Words product =
      __builtin_ia32_pclmulqdq128(Words{static_cast<long long>(state), 0}, Words{static_cast<long long>(factor), 0}, 0);
  return __builtin_ia32_crc32di(0, static_cast<std::uint64_t>(product[0]));
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t by_instruction(std::uint32_t state,
                                                                      std::string_view bytes) noexcept {
  const auto word = [&bytes](std::size_t at) {
    std::uint64_t out = 0;
    std::memcpy(&out, bytes.data() + at, 8);
    return out;
  };
  std::uint64_t first = state;
  for (; bytes.size() >= 3 * kStrip; bytes.remove_prefix(3 * kStrip)) {
    std::uint64_t second = 0, third = 0;
    for (std::size_t at = 0; at < kStrip; at += 8) {
      first = __builtin_ia32_crc32di(first, word(at));
      second = __builtin_ia32_crc32di(second, word(kStrip + at));
      third = __builtin_ia32_crc32di(third, word(2 * kStrip + at));
    }
    first = third ^ moved(second, kPastOne) ^ moved(first, kPastTwo);
  }
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) first = __builtin_ia32_crc32di(first, word(0));
  auto narrow = static_cast<std::uint32_t>(first);
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
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
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
