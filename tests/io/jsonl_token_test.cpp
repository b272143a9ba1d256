// The quick walk over token lines against the strict one, float32 against the library's parser, and the checksum.
#include "jsonl_token.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "crc32c.hpp"
#include "jsonl_lines.hpp"
#include "routesig/random.hpp"

namespace routesig::io {
namespace {

TEST(Crc32c, GivesThePublishedCheckValue) {
  Crc32c crc;
  EXPECT_EQ(crc.hex(), "00000000");
  crc.update("123456789");
  EXPECT_EQ(crc.value(), 0xE306'9283U);
  EXPECT_EQ(crc.hex(), "e3069283");
}

// RFC 3720, B.4: 32 bytes of zeros, of ones, and rising.
TEST(Crc32c, GivesTheValuesOfTheRfc) {
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  for (const auto& [bytes, expected] :
       {std::pair{std::string(32, '\0'), 0x8A91'36AAU}, std::pair{std::string(32, '\xFF'), 0x62A8'AB43U},
        std::pair{rising, 0x46DD'794EU}}) {
    EXPECT_EQ(~crc32c_table(~0U, bytes), expected);
    EXPECT_EQ(~crc32c_fast(~0U, bytes), expected);
  }
}

TEST(Crc32c, InstructionAndTableAgreeWhereverTheBytesAreSplit) {
  Random random(1);
  std::string bytes;
  for (int i = 0; i < 1'000; ++i) bytes += static_cast<char>(random.uniform() * 256);
  const std::uint32_t whole = crc32c_table(~0U, bytes);
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    const std::string_view first = std::string_view(bytes).substr(0, n), rest = std::string_view(bytes).substr(n);
    EXPECT_EQ(crc32c_fast(crc32c_fast(~0U, first), rest), whole);
    EXPECT_EQ(crc32c_table(crc32c_fast(~0U, first), rest), whole);
  }
}

/// A token line whose only weight is `number`, as the quick walk reads it.
float scanned(const std::string& number) {
  TokenLineReader reader(1, 1);
  const std::string line =
      R"({"kind":"token","prompt":"a","position":0,"type":"prompt","experts":[[0]],"weights":[[)" + number + "]]}";
  if (!reader.scan(line)) return std::numeric_limits<float>::infinity();
  return reader.token().weights[0];
}

float library(const std::string& number) {
  float value = 0;
  std::from_chars(number.data(), number.data() + number.size(), value);
  return value;
}

TEST(TokenLine, WeightsAreTheNearestFloat32WhateverTheirDigits) {
  Random random(2);
  for (int i = 0; i < 100'000; ++i) {
    std::string number = "0.";
    const int digits = 1 + static_cast<int>(random.uniform() * 18);
    for (int d = 0; d < digits; ++d) number += static_cast<char>('0' + static_cast<int>(random.uniform() * 10));
    ASSERT_EQ(std::bit_cast<std::uint32_t>(scanned(number)), std::bit_cast<std::uint32_t>(library(number))) << number;
  }
}

// Decimals that lie exactly between two float32, or beside that by less than a double can tell.
TEST(TokenLine, WeightsBetweenTwoFloatsRoundAsTheExactDecimalDoes) {
  for (const char* number :
       {"0.50000002980232238769", "0.500000029802322", "0.500000029802323", "0.50000008940696716309",
        "0.500000089406967", "0.500000089406968", "0.000000059604644775390625", "0.5000000298023223",
        "0.00000000000000000000000000000000000000000000070064923216240854"})
    EXPECT_EQ(scanned(number), library(number)) << number;
  EXPECT_EQ(scanned("0.50000002980232238769"), 0.5F);
}

TEST(TokenLine, EveryFloat32WrittenComesBack) {
  Random random(3);
  const RoutingInfo info{.layers = 1, .experts = 1, .top_k = 1};
  TokenLine writer(info);
  TokenLineReader reader(1, 1);
  const std::vector<ExpertId> experts{0};
  const auto round_trip = [&](float weight) {
    const std::vector<float> weights{weight};
    const std::string_view line = writer.format(token_prefix("a"), {.experts = experts, .weights = weights});
    EXPECT_TRUE(reader.scan(line.substr(0, line.size() - 1)));
    return reader.token().weights[0];
  };
  for (int i = 0; i < 200'000; ++i) {
    const auto weight = std::bit_cast<float>(static_cast<std::uint32_t>(random.uniform() * 4294967296.0));
    const float back = round_trip(weight);
    if (std::isfinite(weight))
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back), std::bit_cast<std::uint32_t>(weight)) << weight;
    else
      ASSERT_TRUE(std::isnan(back));
  }
}

TEST(ParseFloat, TooLargeIsNothingAndTooSmallIsZero) {
  EXPECT_FALSE(parse_float("1e39"));
  EXPECT_FALSE(parse_float("-1e400"));
  EXPECT_FALSE(parse_float("1" + std::string(400, '0')));
  EXPECT_EQ(parse_float("1e-60"), 0.0F);
  EXPECT_EQ(parse_float("1e-400"), 0.0F);
  EXPECT_TRUE(std::signbit(*parse_float("-1E-400")));
  EXPECT_EQ(parse_float("0." + std::string(500, '0') + "1"), 0.0F);
  EXPECT_EQ(parse_float("3.4028235e38"), std::numeric_limits<float>::max());
}

/// What the strict walk says of a line; false where it throws.
bool walked(TokenLineReader& reader, std::string_view line) {
  const Warn quiet;
  IgnoredFields ignored("t", quiet);
  ArrayBudget budget(1U << 20);
  try {
    reader.walk(JsonCursor(line, "t"), budget, ignored, 1);
  } catch (const FormatError&) {
    return false;
  }
  return true;
}

// The quick walk may refuse what is valid (the strict one then reads it); it must never read what is not, or otherwise.
TEST(TokenLine, QuickAndStrictWalkNeverDisagree) {
  const std::string line =
      R"({"kind":"token","prompt":"a","position":12,"type":"generation","token":503,"experts":[[3,17],null,[0,255]],"weights":[[0.5,1e-05],[null,1],[0.25,0.123456789]]})";
  TokenLineReader quick(3, 2), strict(3, 2);
  ASSERT_TRUE(quick.scan(line));
  Random random(4);
  const std::string_view alphabet = "0123456789-+.eE,[]{}\":nul axt\\";
  int read = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string changed = line;
    for (int edits = 1 + static_cast<int>(random.uniform() * 2); edits > 0; --edits) {
      const auto at = static_cast<std::size_t>(random.uniform() * static_cast<double>(changed.size()));
      const char with = alphabet[static_cast<std::size_t>(random.uniform() * static_cast<double>(alphabet.size()))];
      const double kind = random.uniform();
      if (kind < 0.4)
        changed[at] = with;
      else if (kind < 0.7)
        changed.insert(at, 1, with);
      else
        changed.erase(at, 1);
    }
    if (!quick.scan(changed)) continue;
    ++read;
    ASSERT_TRUE(walked(strict, changed)) << changed;
    ASSERT_EQ(quick.token().prompt, strict.token().prompt) << changed;
    ASSERT_EQ(quick.token().position, strict.token().position) << changed;
    ASSERT_EQ(quick.token().type, strict.token().type) << changed;
    ASSERT_EQ(quick.token().token, strict.token().token) << changed;
    ASSERT_EQ(quick.token().experts, strict.token().experts) << changed;
    ASSERT_EQ(quick.token().weights.size(), strict.token().weights.size()) << changed;
    for (std::size_t w = 0; w < quick.token().weights.size(); ++w)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(quick.token().weights[w]),
                std::bit_cast<std::uint32_t>(strict.token().weights[w]))
          << changed;
  }
  EXPECT_GT(read, 1000);
}

}  // namespace
}  // namespace routesig::io
