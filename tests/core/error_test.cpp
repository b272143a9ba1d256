#include "routesig/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routesig {
namespace {

TEST(Error, SaysWhereExpectedAndFound) {
  const FormatError error({.path = "traces.jsonl", .line = 3}, "expected 16 layers, got 12");
  EXPECT_STREQ(error.what(), "traces.jsonl, line 3: expected 16 layers, got 12");
  EXPECT_EQ(*error.where().line, 3U);
  EXPECT_STREQ(FormatError({.path = "m.safetensors", .byte = 8}, "x").what(), "m.safetensors, byte 8: x");
}

TEST(Error, InvalidArgumentJoinsItsParts) {
  EXPECT_STREQ(invalid_argument("expected ", 16, " layers, got ", 12).what(), "expected 16 layers, got 12");
}

TEST(Error, QuotedTextIsShortAndPrintable) {
  EXPECT_EQ(shown("code-03"), "\"code-03\"");
  EXPECT_EQ(shown("a\nb\x1b[31m"), "\"a?b?[31m\"");
  EXPECT_EQ(shown(std::string(1'000'000, 'x')).size(), 60U + 5U);
}

TEST(Error, QuotedTextNeverCutsACharacterInTwo) {
  for (std::size_t limit = 0; limit < 8; ++limit) {
    const std::string out = shown("\u00e9\u00e9\u4e2d", limit);
    EXPECT_THAT(out, ::testing::AnyOf("\"...\"", "\"\u00e9...\"", "\"\u00e9\u00e9...\"", "\"\u00e9\u00e9\u4e2d\""))
        << limit;
  }
}

}  // namespace
}  // namespace routesig
