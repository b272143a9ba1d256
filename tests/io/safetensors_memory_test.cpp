// What a safetensors header or an index takes in memory: never more than twice the file and 1 MiB, whatever it says.
// Every allocation of this program is counted with what the allocator adds to it.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>

#include "routesig/io/safetensors.hpp"
#include "support/scratch_folder.hpp"

namespace {

std::size_t g_live = 0, g_peak = 0;  // bytes

void* counted(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  g_live += ::malloc_usable_size(block) + sizeof(void*);
  g_peak = std::max(g_peak, g_live);
  return block;
}

void release(void* block) noexcept {
  if (block != nullptr) g_live -= ::malloc_usable_size(block) + sizeof(void*);
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return counted(std::malloc(std::max<std::size_t>(size, 1))); }
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t /*size*/) noexcept { release(block); }

namespace routesig {
namespace {

using Entry = std::function<std::string(std::size_t)>;

constexpr std::size_t kFree = 1U << 20U;

struct Measured {
  bool read;
  double times;  // peak of the heap, without the free MiB, over the size of the file
};

/// The peak of the heap while `call` runs, for something of `size` bytes.
template <typename Call>
Measured measure_call(std::size_t size, Call&& call) {
  const std::size_t before = g_live;
  g_peak = g_live;
  bool read = true;
  try {
    call();
  } catch (const std::runtime_error&) {
    read = false;
  }
  const std::size_t used = g_peak - before;
  return {read, static_cast<double>(used - std::min(used, kFree)) / static_cast<double>(size)};
}

Measured measure(const std::string& header, std::size_t data = 0) {
  std::string file;
  for (std::size_t i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xFFU);
  file += header;
  file.append(data, 'x');
  return measure_call(file.size(),
                      [&] { (void)parse_safetensors_header(std::as_bytes(std::span(file)), "w.safetensors"); });
}

std::string object(std::size_t entries, const Entry& entry) {
  std::string out = "{";
  for (std::size_t i = 0; i < entries; ++i) (out += i == 0 ? "" : ",") += entry(i);
  return out + '}';
}

std::string name(std::size_t i, std::size_t length) {
  const std::string number = std::to_string(i);
  std::string out(length - std::min(length, number.size()), 'n');
  return out.append(number);
}

Entry tensor(std::size_t length, const std::string& shape) {
  return [=](std::size_t i) {
    return '"' + name(i, length) + R"(":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,0]})";
  };
}

TEST(SafetensorsMemory, HeadersOfNothingButTensorsStayBelowTwiceTheFile) {
  for (const std::size_t length : {5U, 16U, 45U, 200U})
    for (const char* shape : {"[0]", "[0,0]", "[0,0,0,0,0,0,0,0]"})
      for (const std::size_t tensors : {1'000U, 12'000U, 40'000U})
        EXPECT_LE(measure(object(tensors, tensor(length, shape))).times, 2.0) << length << shape << tensors;
  EXPECT_TRUE(measure(object(5'000, tensor(45, "[0,0]"))).read);
}

TEST(SafetensorsMemory, NamesThatLookLikeTensorsReserveNothing) {
  EXPECT_LE(measure(object(1'000, tensor(5'000, "[0]"))).times, 2.0);
  const Entry braces = [](std::size_t i) {
    return '"' + name(i, 9) + std::string(5'000, '{') + R"(":"\"data_offsets\"")";
  };
  EXPECT_LE(measure(R"({"__metadata__":)" + object(1'000, braces) + '}').times, 1.5);
}

TEST(SafetensorsMemory, MetadataStaysBelowTwiceTheFile) {
  for (const std::size_t length : {5U, 16U, 200U})
    for (const std::size_t entries : {1'000U, 10'000U, 100'000U}) {
      const Entry entry = [=](std::size_t i) { return '"' + name(i, length) + R"(":"")"; };
      EXPECT_LE(measure(R"({"__metadata__":)" + object(entries, entry) + '}').times, 2.0) << length << ' ' << entries;
    }
}

TEST(SafetensorsMemory, OneLongStringIsHeldOnce) {
  const std::string plain(4'000'000, 'x');
  std::string escapes;
  for (int i = 0; i < 500'000; ++i) escapes += R"(\u0001)";
  for (const std::string& text : {plain, R"(\")" + plain, R"(\\\")" + plain, escapes}) {
    const Measured metadata = measure(R"({"__metadata__":{"a":")" + text + R"("}})");
    EXPECT_TRUE(metadata.read);
    EXPECT_LE(metadata.times, 1.0) << text.substr(0, 8);
    const Measured tensor = measure(R"({")" + text + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})");
    EXPECT_TRUE(tensor.read);
    EXPECT_LE(tensor.times, 1.0) << text.substr(0, 8);
    EXPECT_LE(measure(R"({"a":{")" + text + R"(":1}})").times, 1.0);
    EXPECT_LE(measure(R"({"a":{"dtype":")" + text + R"("}})").times, 1.0);
  }
}

// With a model's data behind it a header takes a thousandth of the file; the rule must not touch one.
TEST(SafetensorsMemory, ACheckpointOfManySmallTensorsIsRead) {
  const std::size_t tensors = 50'000;
  const Entry entry = [](std::size_t i) {
    const auto at = [](std::size_t n) { return std::to_string(128 * n); };
    return R"("model.layers.0.mlp.experts.)" + std::to_string(i) + R"(.up_proj.bias":{"dtype":"BF16","shape":[64],)" +
           R"("data_offsets":[)" + at(i) + ',' + at(i + 1) + "]}";
  };
  const Measured measured = measure(object(tensors, entry), 128 * tensors);
  EXPECT_TRUE(measured.read);
  EXPECT_LE(measured.times, 1.0);
}

// The shards are missing: the whole index is read before one of them is looked for.
TEST(SafetensorsMemory, AnIndexStaysBelowTwiceItsText) {
  const testing::ScratchFolder folder;
  const auto path = folder / "model.safetensors.index.json";
  const auto expect_small = [&](std::size_t length, const Entry& shard) {
    const Entry entry = [&](std::size_t i) { return '"' + name(i, length) + R"(":")" + shard(i) + ".safetensors\""; };
    testing::write_bytes(path, R"({"weight_map":)" + object(50'000, entry) + '}');
    const auto size = static_cast<std::size_t>(std::filesystem::file_size(path));
    EXPECT_LE(measure_call(size, [&] { (void)Safetensors::open(path); }).times, 2.0) << length << ' ' << shard(0);
  };
  for (const std::size_t length : {5U, 16U, 45U}) {
    expect_small(length, [](std::size_t) { return std::string("a"); });
    expect_small(length, [](std::size_t i) { return name(i, 6); });  // a shard of its own for each tensor
  }
}

}  // namespace
}  // namespace routesig
