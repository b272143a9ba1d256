// Trace JSONL: what a reader is given that is not a trace file, or no longer one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "crc32c.hpp"
#include "routesig/io/jsonl.hpp"
#include "support/jsonl_feed.hpp"
#include "support/scratch_folder.hpp"
#include "support/traces.hpp"

namespace routesig {
namespace {

using ::testing::AllOf;
using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ScratchFolder;
using ::testing::ThrowsMessage;

const std::string kHeader =
    R"({"kind":"header","format":"routesig-trace","version":1,"routing":{"layers":2,"experts":8,"top_k":2}})"
    "\n";
const std::string kPrompt = R"({"kind":"prompt","id":"a","prompt_tokens":1})"
                            "\n";
const std::string kToken =
    R"({"kind":"token","prompt":"a","position":0,"type":"prompt","token":5,"experts":[[1,2],[3,4]],"weights":[[0.5,0.25],[0.5,0.25]]})"
    "\n";
const std::string kPromptEnd = R"({"kind":"prompt_end","id":"a","tokens":1})"
                               "\n";
const std::string kBody = kHeader + kPrompt + kToken + kPromptEnd;

/// `body` with a true checksum.
std::string ended(const std::string& body, int prompts, int tokens) {
  io::Crc32c crc;
  crc.update(body);
  return body + sentence(R"({"kind":"end","prompts":)", prompts, R"(,"tokens":)", tokens, R"(,"crc32c":")", crc.hex(),
                         "\"}\n");
}

const std::string kWhole = ended(kBody, 1, 1);

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) throw std::logic_error("the test replaces text that is not there: " + std::string(what));
  return text.replace(at, what.size(), with);
}

/// The message `bytes` are refused with; "" where they are read.
std::string refusal(const std::string& bytes, bool recover = false) {
  try {
    (void)parse_jsonl(bytes, "t.jsonl", {.recover = recover});
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

TEST(JsonlDamage, TheWholeFileOfTheseTestsIsRead) {
  EXPECT_EQ(refusal(kWhole), "");
  const TraceSet set = parse_jsonl(kWhole, "t", {});
  EXPECT_TRUE(set.complete());
  EXPECT_EQ(set[0].tokens(), 1);
}

TEST(JsonlDamage, TruncatedAtEveryByteIsRefusedAndRecoverKeepsTheWholeLines) {
  const auto starts = [](std::size_t bytes) { return bytes >= kHeader.size(); };
  for (std::size_t n = 0; n < kWhole.size(); ++n) {
    const std::string cut = kWhole.substr(0, n);
    const std::string message = refusal(cut);
    ASSERT_NE(message, "") << n;
    if (!starts(n)) {
      EXPECT_NE(refusal(cut, true), "") << n;
      continue;
    }
    EXPECT_THAT(message, HasSubstr("recover=True")) << n;
    std::vector<std::string> notes;
    const TraceSet set =
        parse_jsonl(cut, "t", {.recover = true}, [&](const std::string& note) { notes.push_back(note); });
    EXPECT_FALSE(set.complete());
    EXPECT_EQ(set.size(), n >= kHeader.size() + kPrompt.size() ? 1U : 0U) << n;
    if (!set.empty()) {
      EXPECT_EQ(set[0].tokens(), n >= kHeader.size() + kPrompt.size() + kToken.size() ? 1 : 0) << n;
    }
    const std::size_t torn = n - (cut.rfind('\n') + 1);
    EXPECT_THAT(notes, ElementsAre(HasSubstr(sentence(torn, " bytes of a torn line")))) << n;
  }
}

TEST(JsonlDamage, RecoverCountsUnfinishedPrompts) {
  std::string note;
  (void)parse_jsonl(kHeader + kPrompt + kToken, "t", {.recover = true}, [&](const std::string& text) { note = text; });
  EXPECT_THAT(note, HasSubstr("recovered 1 prompts (1 of them unfinished) with 1 tokens"));
}

TEST(JsonlDamage, OneChangedByteAnywhereIsRefused) {
  for (std::size_t i = 0; i < kWhole.size(); ++i)
    for (const char with : {'0', 'x', '\n', '\0', '"', '\xFF'}) {
      if (kWhole[i] == with) continue;
      std::string damaged = kWhole;
      damaged[i] = with;
      EXPECT_NE(refusal(damaged), "") << "byte " << i << " as " << static_cast<int>(with);
    }
}

TEST(JsonlDamage, DamageBeforeTheTailIsAnErrorEvenWithRecover) {
  EXPECT_THAT(refusal(kHeader + "{\"kind\":\"pro\n" + kPrompt + "torn", true), HasSubstr("t.jsonl, line 2"));
  EXPECT_NE(refusal(replaced(kWhole, "[1,2]", "[2,1]"), true), "") << "the checksum still counts";
  EXPECT_NE(refusal(kWhole + "torn", true), "") << "something after the end line";
}

struct Refused {
  const char* why;
  std::string bytes;
  const char* says;
};

class JsonlRefusal : public ::testing::TestWithParam<Refused> {};

TEST_P(JsonlRefusal, NamesTheFileAndTheReason) {
  const std::string message = refusal(GetParam().bytes);
  EXPECT_THAT(message, AllOf(HasSubstr("t.jsonl"), HasSubstr(GetParam().says)));
}

Refused changed(const char* why, std::string_view what, std::string_view with, const char* says) {
  return {why, replaced(kWhole, what, with), says};
}

INSTANTIATE_TEST_SUITE_P(
    Files, JsonlRefusal,
    ::testing::Values(
        Refused{"Empty", "", "got an empty one"},
        Refused{"BlankLine", kHeader + "\n" + kPrompt, "line 2: expected a JSON object, got an empty line"},
        Refused{"Mark", "\xEF\xBB\xBF" + kWhole, "byte order mark"},
        Refused{"CarriageReturn", replaced(kWhole, "}}\n", "}}\r\n"), "line 1: expected lines that end in LF"},
        Refused{"NoHeader", kPrompt + kToken, "line 1: expected a header"},
        Refused{"TwoHeaders", kHeader + kHeader, "line 2: expected one header"},
        Refused{"BehindTheEnd", kWhole + kPrompt, "line 6: expected nothing after the end line"},
        Refused{"SpaceBehindTheEnd", kWhole + "  ", "expected nothing after the end line"},
        Refused{"PromptNotEnded", ended(kHeader + kPrompt + kToken, 1, 1), "prompt \"a\" has no prompt_end"},
        Refused{"TokenBeforePrompt", kHeader + kToken, "prompt \"a\" has no prompt line before"},
        Refused{"TokenAfterEnd", kBody + kToken, "line 5: prompt \"a\" has ended before"},
        Refused{"EndTwice", kBody + kPromptEnd, "has ended before"},
        Refused{"PromptTwice", kBody + kPrompt, "prompt id \"a\" is given twice"},
        Refused{"WrongCounts", ended(kBody, 2, 1), "expected 2 prompts and 1 tokens before this line, found 1 and 1"},
        changed("NotJson", "{\"kind\":\"prompt\",", "kind,prompt", "line 2, byte"),
        changed("AnArray", kPrompt, "[]\n", "line 2, byte"), changed("NoKind", "\"kind\":\"prompt\",", "", "got \"\""),
        changed("OtherKind", "\"kind\":\"prompt\",", "\"kind\":\"pr\",", "got \"pr\""),
        changed("Behind", "\"prompt_tokens\":1}", "\"prompt_tokens\":1} 1", "expected the end"),
        changed("Checksum", "[1,2]", "[2,1]", "changed or damaged")),
    [](const auto& test) { return test.param.why; });

INSTANTIATE_TEST_SUITE_P(
    Header, JsonlRefusal,
    ::testing::Values(
        changed("Format", "routesig-trace", "other", "expected format \"routesig-trace\", got \"other\""),
        changed("NoFormat", "\"format\":\"routesig-trace\",", "", "expected a field \"format\""),
        changed("Newer", "\"version\":1,\"routing\":{", "\"version\":2,\"routesig\":\"0.9.0\",\"routing\":7,\"x\":{",
                "read it with routesig \"0.9.0\" or newer"),
        changed("Zero", "\"version\":1", "\"version\":0", "version: expected a whole number from 1"),
        changed("Fraction", "\"version\":1", "\"version\":1.0", "version: expected a whole number"),
        changed("NoRouting", "\"routing\":{", "\"rooting\":{", "expected a field \"routing\""),
        changed("NoLayers", "\"layers\":2,", "", "expected a field \"layers\""),
        changed("NumberWithoutEnd", "\"layers\":2", "\"layers\":" + std::string(5000, '2'),
                "expected a number of at most 4300 characters, found 5000"),
        changed("ZeroLayers", "\"layers\":2", "\"layers\":0", "expected 1 to 65536 layers"),
        changed("ManyExperts", "\"experts\":8", "\"experts\":65535", "expected 1 to 65534 experts"),
        changed("HugeExperts", "\"experts\":8", "\"experts\":18446744073709551616", "expected a whole number"),
        changed("KAboveE", "\"top_k\":2", "\"top_k\":9", "expected top_k from 1 to 8"),
        changed("Twice", "\"layers\":2,", "\"layers\":2,\"layers\":2,", "\"layers\" is given twice"),
        changed("ModelLayers", "\"top_k\":2", "\"top_k\":2,\"model_layers\":[1]", "expected 2 model_layers, got 1"),
        changed("Ranked", "\"top_k\":2", "\"top_k\":2,\"ranked\":1", "ranked: expected true or false"),
        changed("Settings", "\"version\":1", "\"version\":1,\"settings\":[]", "settings: expected an object"),
        changed("Count", "\"version\":1", "\"version\":1,\"prompts\":{\"count\":-1}", "count: expected a whole number"),
        changed("TooManyLayers", "\"layers\":2", "\"layers\":2147483647", "expected 1 to 65536 layers")),
    [](const auto& test) { return test.param.why; });

INSTANTIATE_TEST_SUITE_P(
    Lines, JsonlRefusal,
    ::testing::Values(
        changed("IdNumber", "\"id\":\"a\"", "\"id\":1", "id: expected a string"),
        changed("PromptTokens", "\"prompt_tokens\":1", "\"prompt_tokens\":-1",
                "prompt_tokens: expected a whole number"),
        changed("Fields", "\"prompt_tokens\":1", "\"fields\":[]", "fields: expected an object"),
        changed("FieldTwice", "\"prompt_tokens\":1", "\"fields\":{\"x\":1,\"x\":1}", "\"x\" is given twice"),
        changed("Surrogate", "\"id\":\"a\"", "\"id\":\"\\ud800\"", "surrogate"),
        changed("Control", "\"id\":\"a\"", "\"id\":\"\t\"", "control character"),
        changed("Utf8", "\"id\":\"a\"", "\"id\":\"\xC3(\"", "UTF-8"),
        changed("UnknownUtf8", "\"prompt_tokens\":1", "\"x\":\"\xC3(\"", "UTF-8"),
        changed("UnknownBroken", "\"prompt_tokens\":1", "\"x\":[1,]", "line 2"),
        changed("PositionNegative", "\"position\":0", "\"position\":-1", "position: expected a whole number from 0"),
        changed("PositionHuge", "\"position\":0", "\"position\":2147483648", "position: expected"),
        changed("PositionText", "\"position\":0", "\"position\":\"0\"", "position: expected a number"),
        changed("PositionZeros", "\"position\":0", "\"position\":00", "leading zero"),
        changed("NoPosition", "\"position\":0,", "", "expected a field \"position\""),
        changed("Type", "\"type\":\"prompt\"", "\"type\":\"pad\"",
                "type: expected \"prompt\" or \"generation\", got \"pad\""),
        changed("Token", "\"token\":5", "\"token\":4294967296", "token: expected"),
        changed("TokenNull", "\"token\":5", "\"token\":null", "token: expected a number"),
        changed("NoExperts", "\"experts\":[[1,2],[3,4]],", "", "expected a field \"experts\""),
        changed("ExpertsTwice", "\"weights\"", "\"experts\":[[1,2],[3,4]],\"weights\"", "\"experts\" is given twice"),
        changed("BelowMinusOne", "[1,2]", "[1,-2]", "experts: expected a whole number from -1 to 65535, found -2"),
        changed("TooLarge", "[1,2]", "[1,65536]", "experts: expected a whole number from -1 to 65535, found 65536"),
        changed("Huge", "[1,2]", "[1,18446744073709551617]", "experts: expected a whole number"),
        changed("Float", "[1,2]", "[1,2.0]", "experts: expected a whole number"),
        changed("Text", "[1,2]", "[1,\"2\"]", "experts: expected a number"),
        changed("NaN", "[1,2]", "[1,NaN]", "experts: expected a number"),
        changed("NullInRow", "[1,2]", "[1,null]", "experts: expected a number"),
        changed("Short", "[1,2]", "[1]", "experts: expected 2 values in layer 0, got 1"),
        changed("Long", "[3,4]", "[3,4,5]", "experts: expected 2 values in layer 1, got 3"),
        changed("FewLayers", "[[1,2],[3,4]]", "[[1,2]]", "experts: expected 2 layers, got 1"),
        changed("ManyLayers", "[[1,2],[3,4]]", "[[1,2],[3,4],null]", "experts: expected 2 layers, got 3"),
        changed("WeightText", "0.25", "\"x\"", "weights: expected a number"),
        changed("WeightHuge", "0.25", "1e400", "weights: expected a float32, got 1e400"),
        changed("WeightInf", "0.25", "Infinity", "weights: expected a number"),
        changed("WeightDot", "0.25", "0.", "weights: expected a digit"),
        changed("WeightsRagged", "[0.5,0.25]", "[0.5]", "weights: expected 2 values in layer 0, got 1"),
        changed("Tokens", "\"tokens\":1}", "\"tokens\":2}",
                "expected 2 tokens of prompt \"a\" before this line, found 1"),
        changed("Texts", "\"tokens\":1}", "\"tokens\":1,\"token_texts\":[]}", "token_texts: expected 1 texts, got 0"),
        changed("Deep", "\"prompt_tokens\":1", "\"x\":" + std::string(1'000'000, '['), "64 levels"),
        changed("CrcNumber", "\"crc32c\":\"", "\"crc32c\":1,\"x\":\"", "crc32c: expected a string")),
    [](const auto& test) { return test.param.why; });

TEST(JsonlDamage, TokensOfAPromptCarryIdsAndWeightsAllOrNone) {
  const std::string plain = replaced(kToken, ",\"weights\":[[0.5,0.25],[0.5,0.25]]", "");
  EXPECT_THAT(refusal(kHeader + kPrompt + kToken + plain), HasSubstr("expected weights on every token line"));
  EXPECT_THAT(refusal(kHeader + kPrompt + kToken + replaced(kToken, "\"token\":5,", "")),
              HasSubstr("expected a token id on every"));
}

// Four bytes of "null" announce a row of 65,534 ids: memory must stay within a multiple of the file.
TEST(JsonlDamage, RowsAnnouncedByNullsAreBounded) {
  std::string text =
      replaced(replaced(kHeader, "\"experts\":8", "\"experts\":65534"), "\"top_k\":2", "\"top_k\":65534") + kPrompt;
  for (int i = 0; i < 1000; ++i)
    text +=
        sentence(R"({"kind":"token","prompt":"a","position":)", i, R"(,"type":"prompt","experts":[null,null]})", "\n");
  EXPECT_THAT(refusal(text), HasSubstr("more than 64 times the file's size"));
}

TEST(JsonlDamage, AFileRecordedAndCutAnywhereRecoversWithoutSurprise) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl");
  testing::feed_random(recorder, {.layers = 2, .experts = 8, .top_k = 2}, 3, 4, 5);
  recorder.close();
  const std::string whole = bytes_of(folder / "t.jsonl");
  const std::size_t header = whole.find('\n') + 1;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_NE(refusal(whole.substr(0, n)), "") << n;
    EXPECT_EQ(refusal(whole.substr(0, n), true) == "", n >= header) << n;
  }
}

}  // namespace
}  // namespace routesig
