// Safetensors: bytes made by hand, every rule broken once, every truncation, folders with and without an index.
#include "routesig/io/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using routesig::DType;
using routesig::FormatError;
using routesig::parse_safetensors_header;
using routesig::Safetensors;
using routesig::Tensor;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string file_with_length(std::uint64_t length, std::string_view rest) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(length >> (8 * i) & 0xFF);
  return out.append(rest);
}

std::string file(std::string_view header, std::string_view data = "") {
  return file_with_length(header.size(), std::string(header).append(data));
}

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string problem(std::string_view text) {
  try {
    static_cast<void>(parse_safetensors_header(bytes(text), "w.safetensors"));
    return "";
  } catch (const FormatError& error) {
    return error.what();
  }
}

// One tensor "a", with a field replaced.
std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets, std::string_view data) {
  return file("{\"a\":{\"dtype\":" + std::string(dtype) + ",\"shape\":" + std::string(shape) +
                  ",\"data_offsets\":" + std::string(offsets) + "}}",
              data);
}

const std::string kTwo =
    R"({"__metadata__":{"format":"pt"},)"
    R"("b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}  )";

TEST(Safetensors, ReadsTwoTensorsByHand) {
  const std::string whole = file(kTwo, "ABCDEFGHIJ");
  const auto header = parse_safetensors_header(bytes(whole), "w");
  ASSERT_EQ(header.tensors.size(), 2U);
  const Tensor &a = header.tensors[0], &b = header.tensors[1];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.dtype, DType::bf16);
  EXPECT_TRUE(a.shape.empty());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(a.data.data()), a.data.size()), "AB");
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.dtype, DType::f32);
  EXPECT_THAT(b.shape, ElementsAre(2));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(b.data.data()), b.data.size()), "CDEFGHIJ");
  EXPECT_THAT(header.metadata, ElementsAre(testing::Pair("format", "pt")));
}

TEST(Safetensors, EmptyHeaderAndEmptyTensorsAreRead) {
  EXPECT_TRUE(parse_safetensors_header(bytes(file("{}")), "w").tensors.empty());
  EXPECT_EQ(problem(one("\"F32\"", "[3,0]", "[0,0]", "")), "");
  EXPECT_EQ(
      problem(file(
          R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},)"
          R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"c":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
          "x")),
      "");
}

TEST(Safetensors, EveryDTypeHasItsNameAndSize) {
  const std::vector<std::pair<const char*, std::size_t>> all{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
      {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto [text, size] = all[i];
    const std::string whole =
        one('"' + std::string(text) + '"', "[3]", "[0," + std::to_string(3 * size) + "]", std::string(3 * size, 'x'));
    const auto header = parse_safetensors_header(bytes(whole), "w");
    EXPECT_EQ(header.tensors.at(0).dtype, static_cast<DType>(i));
    EXPECT_EQ(routesig::name(static_cast<DType>(i)), text);
    EXPECT_EQ(routesig::item_size(static_cast<DType>(i)), size);
  }
}

struct Broken {
  const char* rule;
  std::string bytes;
  const char* message;
};

TEST(Safetensors, EveryRuleBrokenOnceIsRefused) {
  const std::string tensor = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  const std::vector<Broken> cases{
      {"no length", "1234567", "expected at least 8 bytes of safetensors, found 7"},
      {"empty", "", "expected at least 8 bytes of safetensors, found 0"},
      {"header of 2^63", file_with_length(std::uint64_t{1} << 63U, "{}"),
       "at most 100000000 bytes, found a length of 9223372036854775808"},
      {"header of 2^64 - 1", file_with_length(~std::uint64_t{0}, "{}"), "at most 100000000 bytes"},
      {"header of 100,000,001", file_with_length(100'000'001, "{}"), "at most 100000000 bytes"},
      {"header beyond the file", file_with_length(3, "{}"),
       "expected a header of 3 bytes, found 2: the file is cut short"},
      {"header of nothing", file_with_length(0, ""), "begins with '{', found the end"},
      {"leading space", file(" {}"), "begins with '{'"},
      {"not an object", file("[]"), "begins with '{', found '['"},
      {"text behind the header", file("{}x"), "byte 10: expected the end of the text, found 'x'"},
      {"NUL padding", file(std::string("{}\0\0", 4)), "expected the end of the text"},
      {"invalid UTF-8", file("{\"\xff\":" + tensor + "}", "x"), "byte 10: invalid UTF-8"},
      {"tensor twice", file("{\"a\":" + tensor + R"(,"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "xy"),
       "tensor \"a\": the name stands twice"},
      {"empty tensor twice",
       file(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
            R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
       "stands twice"},
      {"metadata twice", file(R"({"__metadata__":{},"__metadata__":{}})"), "\"__metadata__\" stands twice"},
      {"metadata key twice", file(R"({"__metadata__":{"k":"v","k":"v"}})"), "metadata key \"k\" stands twice"},
      {"metadata number", file(R"({"__metadata__":{"k":1}})"), "expected a string, found '1'"},
      {"metadata null", file(R"({"__metadata__":null})"), "expected an object, found 'n'"},
      {"tensor as array", file(R"({"a":["U8",[1],[0,1]]})", "x"), "expected an object, found '['"},
      {"unknown field", file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}})", "x"),
       "found \"strides\""},
      {"field twice", file(R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", "x"),
       "shape stands twice"},
      {"no dtype", file(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "x"), "one is missing"},
      {"no shape", file(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "x"), "one is missing"},
      {"no offsets", file(R"({"a":{"dtype":"U8","shape":[1]}})", "x"), "one is missing"},
      {"unknown dtype", one("\"F4\"", "[2]", "[0,1]", "x"), "unknown dtype \"F4\""},
      {"dtype in small letters", one("\"u8\"", "[1]", "[0,1]", "x"), "unknown dtype \"u8\""},
      {"dtype number", one("1", "[1]", "[0,1]", "x"), "expected a string, found '1'"},
      {"negative dimension", one("\"U8\"", "[-1]", "[0,1]", "x"), "whole number from 0"},
      {"fraction", one("\"U8\"", "[1.0]", "[0,1]", "x"), "whole number from 0"},
      {"dimension of 2^63", one("\"U8\"", "[9223372036854775808]", "[0,1]", "x"), "whole number from 0"},
      {"shape number", one("\"U8\"", "1", "[0,1]", "x"), "expected an array, found '1'"},
      {"shape nested", one("\"U8\"", "[[1]]", "[0,1]", "x"), "expected a number, found '['"},
      {"nine dimensions", one("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]", "x"), "more than 8 dimensions"},
      {"product overflow", one("\"U8\"", "[4294967296,4294967296]", "[0,0]", ""), "too large for any file"},
      {"product overflow by one item", one("\"F64\"", "[2305843009213693952]", "[0,0]", ""), "too large for any file"},
      {"product above 2^63", one("\"U16\"", "[4611686018427387904]", "[0,0]", ""), "too large for any file"},
      {"overflow behind a zero", one("\"U8\"", "[0,4294967296,4294967296]", "[0,0]", ""), "too large for any file"},
      {"shape against extent", one("\"F32\"", "[2]", "[0,4]", "abcd"),
       "expected 8 bytes for F32 [2], data_offsets hold 4"},
      {"data for an empty tensor", one("\"U8\"", "[0]", "[0,1]", "x"), "expected 0 bytes"},
      {"one offset", one("\"U8\"", "[1]", "[0]", "x"), "expected 2 data_offsets, found 1"},
      {"three offsets", one("\"U8\"", "[1]", "[0,1,1]", "x"), "expected 2 data_offsets, found 3"},
      {"offsets reversed", one("\"U8\"", "[1]", "[1,0]", "x"), "found [1, 0]"},
      {"offset beyond the file", one("\"U8\"", "[2]", "[0,2]", "x"), "within the 1 bytes"},
      {"huge offsets", one("\"U8\"", "[1]", "[9223372036854775806,9223372036854775807]", "x"), "within the 1 bytes"},
      {"empty tensor beyond the file", one("\"U8\"", "[0]", "[5,5]", ""), "within the 0 bytes"},
      {"gap before the first", one("\"U8\"", "[1]", "[1,2]", "xy"), "expected its data to begin at 0"},
      {"gap between", file("{\"a\":" + tensor + R"(,"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})", "xyz"),
       "begin at 1, where the tensor before it ends, found 2"},
      {"overlap", file("{\"a\":" + tensor + ",\"b\":" + tensor + "}", "x"),
       "begin at 1, where the tensor before it ends, found 0"},
      {"empty tensor inside another",
       file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
            R"("b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})",
            "xy"),
       "begin at 2"},
      {"bytes that no tensor owns", file("{\"a\":" + tensor + "}", "xy"),
       "expected the data to end at byte 1 after the header, as the tensors say, found 2"},
      {"bytes without tensors", file("{}", "x"), "expected the data to end at byte 0"},
      {"nesting", file("{\"a\":" + std::string(100'000, '[')), "expected an object"},
  };
  for (const Broken& broken : cases)
    EXPECT_THAT(problem(broken.bytes), AllOf(testing::StartsWith("w.safetensors"), HasSubstr(broken.message)))
        << broken.rule;
}

TEST(Safetensors, TruncatedAtEveryByteIsRefused) {
  const std::string whole = file(kTwo, "ABCDEFGHIJ");
  ASSERT_EQ(problem(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_NE(problem(whole.substr(0, size)), "") << size;
  EXPECT_NE(problem(whole + 'x'), "");
}

TEST(Safetensors, EveryByteReplacedIsReadOrRefused) {
  const std::string whole = file(kTwo, "ABCDEFGHIJ");
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const char value : std::string_view("\0\t\"09-{}[],\x7f\x80\xff", 14)) {
      std::string changed = whole;
      changed[at] = value;
      refused += problem(changed).empty() ? 0 : 1;
    }
  EXPECT_GT(refused, 1000);
}

// ---- files and folders ------------------------------------------------------------------------------------------

class SafetensorsFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("safetensors_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  static std::string tensor_file(const std::string& name, char value) {
    return file("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", std::string(1, value));
  }
  void write_index(std::string_view map) const {
    write("model.safetensors.index.json", "{\"metadata\":{\"total_size\":2},\"weight_map\":" + std::string(map) + "}");
  }
  [[nodiscard]] std::string open_problem(const fs::path& path) const {
    try {
      static_cast<void>(Safetensors::open(path));
      return "";
    } catch (const FormatError& error) {
      return error.what();
    }
  }
  [[nodiscard]] std::string open_problem() const { return open_problem(folder_); }

  fs::path folder_;
};

TEST_F(SafetensorsFolder, OneFileIsOpenedByItsNameOrItsFolder) {
  write("model.safetensors", file(kTwo, "ABCDEFGHIJ"));
  for (const fs::path& path : {folder_, folder_ / "model.safetensors"}) {
    const auto weights = Safetensors::open(path);
    EXPECT_EQ(weights.path(), folder_ / "model.safetensors");
    EXPECT_EQ(weights.tensors().size(), 2U);
    EXPECT_EQ(weights.at("b").data[0], std::byte{'C'});
    EXPECT_EQ(weights.find("c"), nullptr);
    EXPECT_EQ(weights.metadata().at("format"), "pt");
  }
}

TEST_F(SafetensorsFolder, AMissingTensorIsNamed) {
  write("model.safetensors", file(kTwo, "ABCDEFGHIJ"));
  const auto weights = Safetensors::open(folder_);
  try {
    static_cast<void>(weights.at("lm_head.weight"));
    FAIL() << "expected FormatError";
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("model.safetensors"), HasSubstr("\"lm_head.weight\"")));
  }
}

TEST_F(SafetensorsFolder, AShortenedFileIsAnErrorOfReadAndNotASignal) {
  const std::string data(100'000, 'z');
  write("model.safetensors", one("\"U8\"", "[100000]", "[0,100000]", data));
  const auto weights = Safetensors::open(folder_);
  std::vector<std::byte> out(data.size());
  weights.read(weights.at("a"), out);
  EXPECT_EQ(std::memcmp(out.data(), data.data(), data.size()), 0);
  EXPECT_THROW(weights.read(weights.at("a"), std::span(out).first(10)), std::invalid_argument);
  const Tensor stranger{.name = "a", .dtype = DType::u8, .shape = {100'000}, .data = out};
  EXPECT_THROW(weights.read(stranger, out), std::invalid_argument);
  fs::resize_file(folder_ / "model.safetensors", 200);
  EXPECT_THROW(weights.read(weights.at("a"), out), routesig::FileError);
}

TEST_F(SafetensorsFolder, BytesLiveAsLongAsACopy) {
  const std::string data(100'000, 'z');
  write("model.safetensors", one("\"U8\"", "[100000]", "[0,100000]", data));
  std::span<const std::byte> seen;
  const auto copy = [&] {
    const auto weights = Safetensors::open(folder_);
    seen = weights.at("a").data;
    return weights;
  }();
  EXPECT_EQ(std::memcmp(seen.data(), data.data(), data.size()), 0);
}

TEST_F(SafetensorsFolder, OpeningReadsNothingButTheHeader) {
  constexpr std::uint64_t kSize = 14'000'000'000;  // bytes, all of them a hole in the file
  const std::string header = one("\"U8\"", "[14000000000]", "[0,14000000000]", "");
  write("model.safetensors", header);
  std::error_code failed;
  fs::resize_file(folder_ / "model.safetensors", header.size() + kSize, failed);
  if (failed) GTEST_SKIP() << "the temporary folder takes no file of 14 GB, not even an empty one";
  const auto weights = Safetensors::open(folder_);
  ASSERT_EQ(weights.at("a").data.size(), kSize);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto middle = reinterpret_cast<std::uintptr_t>(weights.at("a").data.data() + kSize / 2) / page * page;
  unsigned char resident = 1;
  ASSERT_EQ(::mincore(reinterpret_cast<void*>(middle), page, &resident), 0);
  EXPECT_EQ(resident & 1, 0);
}

TEST_F(SafetensorsFolder, ShardsAreOneCheckpoint) {
  write("one.safetensors", tensor_file("a", '1'));
  write("two.safetensors", tensor_file("b", '2'));
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  for (const fs::path& path : {folder_, folder_ / "model.safetensors.index.json"}) {
    const auto weights = Safetensors::open(path);
    EXPECT_EQ(weights.tensors().size(), 2U);
    EXPECT_EQ(weights.at("a").data[0], std::byte{'1'});
    EXPECT_EQ(weights.at("b").data[0], std::byte{'2'});
    EXPECT_EQ(weights.path(), folder_ / "model.safetensors.index.json");
  }
}

TEST_F(SafetensorsFolder, AnIndexThatDisagreesWithItsShardsIsRefused) {
  write("one.safetensors", tensor_file("a", '1'));
  write("two.safetensors", tensor_file("b", '2'));
  write("also_a.safetensors", tensor_file("a", '3'));
  const std::vector<std::pair<const char*, const char*>> cases{
      {R"({"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"})",
       "expected tensor \"c\" in \"two.safetensors\", it is not there"},
      {R"({"a":"one.safetensors","c":"two.safetensors"})", "tensor \"b\" is not in the weight_map"},
      {R"({"a":"two.safetensors","b":"one.safetensors"})", "and the index places it in"},
      {R"({"a":"one.safetensors","b":"two.safetensors","z":"also_a.safetensors"})",
       "tensor \"a\" is here, and the index places it in \"one.safetensors\""},
      {R"({"a":"one.safetensors","a":"one.safetensors"})", "tensor \"a\" stands twice"},
      {R"({"a":"one.safetensors","a":"two.safetensors"})", "tensor \"a\" stands twice"},
      {R"({"a":"../one.safetensors"})", "plain name"},
      {R"({"a":"/etc/passwd"})", "plain name"},
      {R"({"a":"/one.safetensors"})", "plain name"},
      {R"({"a":"x\\one.safetensors"})", "plain name"},
      {R"({"a":"./one.safetensors"})", "plain name"},
      {R"({"a":".safetensors"})", "plain name"},
      {R"({"a":"one\u0000.safetensors"})", "plain name"},
      {R"({"a":""})", "plain name"},
      {R"({"a":"one.bin"})", "plain name"},
      {R"({"a":1})", "expected a string"},
      {R"({})", "expected a \"weight_map\""},
      {R"([])", "expected an object"},
      {R"({},"weight_map":{})", "stands twice"},
  };
  for (const auto& [map, message] : cases) {
    write_index(map);
    EXPECT_THAT(open_problem(), HasSubstr(message)) << map;
  }
  write("model.safetensors.index.json", "{}");
  EXPECT_THAT(open_problem(), HasSubstr("expected a \"weight_map\""));
  write_index(R"({"a":"absent.safetensors"})");
  EXPECT_THROW(static_cast<void>(Safetensors::open(folder_)), routesig::FileError);
}

TEST_F(SafetensorsFolder, AnIndexTruncatedAtEveryByteIsRefused) {
  write("one.safetensors", tensor_file("a", '1'));
  const std::string index = R"({"metadata":{"total_size":1},"weight_map":{"a":"one.safetensors"}})";
  for (std::size_t size = 0; size < index.size(); ++size) {
    write("model.safetensors.index.json", index.substr(0, size));
    EXPECT_NE(open_problem(), "") << size;
  }
}

// As transformers does: model.safetensors where it is, else the shards of the index, and nothing beside them.
TEST_F(SafetensorsFolder, NoOtherFileIsOpenedThanTransformersWouldOpen) {
  EXPECT_THAT(open_problem(), HasSubstr("expected model.safetensors or model.safetensors.index.json, found neither"));
  write("adapter_model.safetensors", "not even a header");
  EXPECT_THAT(open_problem(), HasSubstr("found neither"));
  write("one.safetensors", tensor_file("a", '1'));
  write_index(R"({"a":"one.safetensors"})");
  EXPECT_EQ(Safetensors::open(folder_).at("a").data[0], std::byte{'1'});
  write("model.safetensors", tensor_file("a", '2'));
  EXPECT_EQ(Safetensors::open(folder_).at("a").data[0], std::byte{'2'});
  EXPECT_EQ(Safetensors::open(folder_).path(), folder_ / "model.safetensors");
}

TEST_F(SafetensorsFolder, PicklesAreNamedAndNeverRead) {
  write("pytorch_model.bin", "not even a pickle");
  EXPECT_THAT(open_problem(),
              AllOf(HasSubstr("\"pytorch_model.bin\""), HasSubstr("not read"), HasSubstr("save_pretrained")));
  EXPECT_THAT(open_problem(folder_ / "pytorch_model.bin"), HasSubstr("pickled weights"));
  write("model.safetensors", tensor_file("a", '1'));
  EXPECT_EQ(open_problem(), "");  // beside safetensors they do no harm
}

TEST_F(SafetensorsFolder, WhatIsNotThereIsAFileError) {
  EXPECT_THROW(static_cast<void>(Safetensors::open(folder_ / "absent")), routesig::FileError);
}

}  // namespace
