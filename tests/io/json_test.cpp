// Strict JSON: a grammar by hand, agreement with nlohmann's own parser, and getters that cannot lie.
#include "json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "json_cursor.hpp"
#include "routesig/random.hpp"

namespace {

using routesig::FormatError;
using routesig::JsonCursor;
using routesig::JsonObject;
using routesig::parse_json;
using testing::HasSubstr;

std::string problem(std::string_view text) {
  try {
    static_cast<void>(parse_json(text, "t.json"));
    return "";
  } catch (const FormatError& error) {
    return error.what();
  }
}

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
}

TEST(Json, ReadsATreeByHand) {
  const auto tree =
      parse_json(" {\"a\": [1, -2, 2.5e1, true, null], \"b\": {\"\": \"x\\n\\u00e9\\ud83d\\ude00\"}}\n", "t.json");
  EXPECT_EQ(tree["a"][0].get_ref<const std::uint64_t&>(), 1U);
  EXPECT_EQ(tree["a"][1].get_ref<const std::int64_t&>(), -2);
  EXPECT_EQ(tree["a"][2].get_ref<const double&>(), 25.0);
  EXPECT_EQ(tree["a"][3], true);
  EXPECT_TRUE(tree["a"][4].is_null());
  EXPECT_EQ(tree["b"][""], "x\n\u00e9\U0001F600");
}

TEST(Json, SyntaxErrorsNameTheByte) {
  EXPECT_EQ(problem("{\"a\":1,}"), "t.json, byte 7: expected a string, found '}'");
  EXPECT_EQ(problem(""), "t.json, byte 0: expected a value, found the end of the text");
  EXPECT_EQ(problem("[1 2]"), "t.json, byte 3: expected ',' or ']', found '2'");
  EXPECT_EQ(problem("{\"a\" 1}"), "t.json, byte 5: expected ':', found '1'");
  EXPECT_EQ(problem("1\x01"), "t.json, byte 1: expected the end of the text, found byte 0x01");
}

TEST(Json, EveryRuleBrokenOnceIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{\"a\":1,\"a\":2}", "stands twice"},
      {"{\"a\":1,\"\\u0061\":2}", "stands twice"},
      {nested(65), "more than 64 levels"},
      {std::string(1'000'000, '['), "more than 64 levels"},
      {"1e400", "range of a double"},
      {"-1e400", "range of a double"},
      {std::string(400, '9'), "range of a double"},
      {"01", "leading zero"},
      {"-", "expected a number"},
      {"1.", "after the decimal point"},
      {"1e", "in the exponent"},
      {"+1", "expected a value"},
      {".5", "expected a value"},
      {"NaN", "expected a value"},
      {"Infinity", "expected a value"},
      {"nul", "true, false or null"},
      {"\"\xff\"", "invalid UTF-8"},
      {"\"\xc0\x80\"", "invalid UTF-8"},          // overlong
      {"\"\xed\xa0\x80\"", "invalid UTF-8"},      // a surrogate in UTF-8
      {"\"\xf4\x90\x80\x80\"", "invalid UTF-8"},  // beyond U+10FFFF
      {"\"\xe2\x82\"", "invalid UTF-8"},          // cut short by the quote
      {"\"\xe2\x82", "invalid UTF-8"},            // cut short by the end
      {"\"\\ud800\"", "unpaired surrogate"},
      {"\"\\ud800\\u0041\"", "unpaired surrogate"},
      {"\"\\udc00\"", "unpaired surrogate"},
      {"\"\\u12g4\"", "four hexadecimal digits"},
      {"\"\\u-123\"", "four hexadecimal digits"},
      {"\"\\x\"", "unknown escape"},
      {"\"a\nb\"", "control character"},
      {"\"a", "without its closing quote"},
      {"\xef\xbb\xbf{}", "found byte 0xef"},  // byte order mark
      {"{} {}", "expected the end"},
      {"[1] // note", "expected the end"},
      {std::string("\0", 1), "expected a value"},
      {std::string("[1\0]", 4), "expected ',' or ']'"},
  };
  for (const auto& [text, expected] : cases) EXPECT_THAT(problem(text), HasSubstr(expected)) << text.substr(0, 80);
}

TEST(Json, SixtyFourLevelsAreRead) { EXPECT_EQ(problem(nested(64)), ""); }

TEST(Json, NumbersKeepTheirKind) {
  EXPECT_EQ(parse_json("18446744073709551615", "").get_ref<const std::uint64_t&>(),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(parse_json("-9223372036854775808", "").get_ref<const std::int64_t&>(),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_TRUE(parse_json("18446744073709551616", "").is_number_float());
  EXPECT_TRUE(parse_json("-0.0", "").is_number_float());
}

// Independent implementation: nlohmann's parser accepts the same texts and gives the same trees, repeated names aside.
TEST(Json, AgreesWithNlohmannOnMutatedTexts) {
  const std::string seed =
      R"({"a":[1,-2.5e-3,"x\u00e9\\",true,false,null],"b":{"c":{},"d":[]},"e":18446744073709551616,"f":"é€😀"})";
  const std::string alphabet = "{}[]\",:\\u0123eE+-.tfn \n\xc3\xa9\x01\xff";
  routesig::Random random(7);
  const auto below = [&](std::size_t n) { return std::size_t{random.below(static_cast<std::uint32_t>(n))}; };
  int accepted = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string text = seed;
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(text.size());
      const char c = alphabet[below(alphabet.size())];
      switch (below(3)) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1 + below(3));
          break;
      }
    }
    const auto reference = nlohmann::json::parse(text, nullptr, false);
    const std::string ours = problem(text);
    if (ours.find("stands twice") != std::string::npos || ours.find("range of a double") != std::string::npos) continue;
    ASSERT_EQ(ours.empty(), !reference.is_discarded()) << text << "\n" << ours;
    if (!ours.empty()) continue;
    ++accepted;
    ASSERT_EQ(parse_json(text, ""), reference) << text;
  }
  EXPECT_GT(accepted, 100);  // the comparison is not about refusals alone
}

TEST(Json, TruncatedAtEveryByteIsRefused) {
  const std::string text = R"({"a":[1,-2.5e-3,"x\u00e9\ud83d\ude00é"],"b":{"c":true}})";
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_NE(problem(text.substr(0, size)), "") << size;
}

template <typename Read>
std::string field_problem(std::string_view text, Read read) {
  const auto tree = parse_json(text, "c.json");
  try {
    static_cast<void>(read(JsonObject(tree, "c.json")));
    return "";
  } catch (const FormatError& error) {
    return error.what();
  }
}

TEST(JsonObject, IntegersAreCheckedNotConverted) {
  const auto read = [](const JsonObject& o) { return o.integer("n", 1, 100); };
  EXPECT_EQ(field_problem("{\"n\":-1}", read), "c.json: n: expected a whole number from 1 to 100, found -1");
  EXPECT_EQ(field_problem("{\"n\":1.5}", read), "c.json: n: expected a whole number from 1 to 100, found 1.5");
  EXPECT_EQ(field_problem("{}", read), "c.json: n: expected a whole number from 1 to 100, the field is missing");
  for (const char* value : {"0", "101", "1e1", "4294967297", "18446744073709551615", "-9223372036854775808", "\"8\"",
                            "true", "null", "[8]", "{}"})
    EXPECT_NE(field_problem(std::string("{\"n\":") + value + "}", read), "") << value;
  const auto tree = parse_json("{\"n\":100,\"m\":-5,\"z\":null}", "c.json");
  const JsonObject object(tree, "c.json");
  EXPECT_EQ(object.integer("n", 1, 100), 100);
  EXPECT_EQ(object.integer("m", -5, 0), -5);
  EXPECT_EQ(object.integer("z", 0, 9, 7), 7);
  EXPECT_EQ(object.integer("absent", 0, 9, 7), 7);
  EXPECT_EQ(object.integer("n", 0, std::numeric_limits<std::int64_t>::max()), 100);
}

TEST(JsonObject, OtherKindsNameWhatTheyFound) {
  EXPECT_EQ(field_problem("{\"b\":1}", [](const JsonObject& o) { return o.boolean("b"); }),
            "c.json: b: expected true or false, found 1");
  EXPECT_EQ(field_problem("{\"t\":[1,2]}", [](const JsonObject& o) { return o.text("t"); }),
            "c.json: t: expected a string, found an array of 2");
  EXPECT_EQ(field_problem("{\"x\":\"a\"}", [](const JsonObject& o) { return o.number("x", 0, 1); }),
            "c.json: x: expected a number from 0 to 1, found \"a\"");
  EXPECT_EQ(field_problem("{\"r\":{\"x\":2}}", [](const JsonObject& o) { return o.object("r").number("x", 0, 1); }),
            "c.json: r.x: expected a number from 0 to 1, found 2");
  EXPECT_EQ(field_problem("{\"r\":3}", [](const JsonObject& o) { return o.object("r").has("x"); }),
            "c.json: r: expected an object, found 3");
  EXPECT_THROW(JsonObject(parse_json("[]", "c.json"), "c.json"), FormatError);
}

TEST(JsonCursor, UnsignedIntegersAreExact) {
  const auto read = [](std::string_view text) {
    JsonCursor cursor(text, "h");
    const std::int64_t value = cursor.unsigned_integer();
    cursor.finish();
    return value;
  };
  EXPECT_EQ(read("0"), 0);
  EXPECT_EQ(read("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  for (const char* text : {"9223372036854775808", "99999999999999999999999", "-0", "-1", "1.0", "1e0", "\"1\"", ""})
    EXPECT_THROW(read(text), FormatError) << text;
}

TEST(JsonCursor, SkipChecksWhatItDrops) {
  for (const char* text : {"[1,{\"a\":[true,false,null,\"x\",-1.5e3]}]", "{}", "0"}) {
    JsonCursor cursor(text, "h");
    cursor.skip_value();
    EXPECT_NO_THROW(cursor.finish()) << text;
  }
  for (const char* text : {"[1,]", "{\"a\"}", "tru", "[01]", "x", ""})
    EXPECT_THROW(JsonCursor(text, "h").skip_value(), FormatError) << text;
}

}  // namespace
