#include "kernel/hooks/program_files.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

extern "C" __attribute__((noinline, used)) int sl_function_in_a_file(int number) {
  asm volatile("" ::: "memory");
  return number + 1;
}

namespace sluice::hooks {
namespace {

using testing::HasSubstr;

constexpr const char* kThis = "/proc/self/exe";

std::string BytesOf(const std::string& path, std::uint64_t offset, std::size_t size) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  return bytes;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes) {
    const int fd = mkstemp(path_.data());
    if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
    close(fd);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/sluice-program-XXXXXX";
};

TEST(ProgramFiles, ASymbolsOffsetHasItsCode) {
  const auto offset = ProgramFiles().OffsetOfSymbol(kThis, "sl_function_in_a_file");
  ASSERT_TRUE(offset.ok()) << offset.status();
  std::string in_memory(16, '\0');
  std::memcpy(in_memory.data(), reinterpret_cast<const void*>(&sl_function_in_a_file), in_memory.size());
  EXPECT_EQ(BytesOf(kThis, *offset, in_memory.size()), in_memory);
  // libc has only its names for other programs.
  const auto of_library = ProgramFiles().OffsetOfSymbol("/lib/x86_64-linux-gnu/libc.so.6", "malloc");
  if (std::filesystem::exists("/lib/x86_64-linux-gnu/libc.so.6")) {
    EXPECT_TRUE(of_library.ok()) << of_library.status();
  }
}

TEST(ProgramFiles, WhatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ProgramFiles().OffsetOfSymbol(kThis, "sl_no_such_function").status()));
  EXPECT_TRUE(absl::IsNotFound(ProgramFiles().OffsetOfAddress(kThis, ~std::uint64_t{0}).status()));
  EXPECT_TRUE(absl::IsNotFound(ProgramFiles().OffsetOfSymbol("/no/such/file", "main").status()));
  EXPECT_TRUE(absl::IsNotFound(ProgramFiles().ProbesOf(kThis, "no", "probe").status()));
}

TEST(ProgramFiles, FilesThatAreNoPrograms) {
  const TemporaryFile empty(""), text("#!/bin/sh\nexit 0\n"), zeros(std::string(4096, '\0'));
  for (const TemporaryFile* file : {&empty, &text, &zeros}) {
    const auto offset = ProgramFiles().OffsetOfSymbol(file->path(), "main");
    EXPECT_TRUE(absl::IsInvalidArgument(offset.status())) << offset.status();
    EXPECT_THAT(Message(offset.status()), HasSubstr("no program or library for this machine"));
  }
}

// Every place of the first kilobyte with other bytes, and files that are cut off: an error or an answer, no more.
TEST(ProgramFiles, DamagedFiles) {
  const std::string whole = BytesOf(kThis, 0, std::filesystem::file_size(kThis));
  for (const std::size_t size : {std::size_t{63}, std::size_t{64}, whole.size() / 2, whole.size() - 1}) {
    const TemporaryFile cut(whole.substr(0, size));
    EXPECT_FALSE(ProgramFiles().OffsetOfSymbol(cut.path(), "sl_function_in_a_file").ok()) << size;
  }
  // The offsets of the tables of segments and sections, and the number of sections' names.
  for (const std::size_t at : {std::size_t{32}, std::size_t{40}, std::size_t{62}}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x7f);
    damaged[at + 1] = static_cast<char>(damaged[at + 1] ^ 0x7f);
    const TemporaryFile file(damaged);
    (void)ProgramFiles().OffsetOfSymbol(file.path(), "main");
    (void)ProgramFiles().ProbesOf(file.path(), "a", "b");
    (void)ProgramFiles().DigestOf(file.path(), "build-id");
  }
}

// Of the text "abc", from FIPS 180-4's examples.
TEST(ProgramFiles, Digests) {
  const TemporaryFile file("abc");
  const auto digest = [&](const char* algorithm) {
    return ProgramFiles().DigestOf(file.path(), algorithm).value_or("none");
  };
  EXPECT_EQ(digest("sha256"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("sha1"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(digest("sha512").size(), 128U);
  EXPECT_EQ(digest("build-id"), "none");
  EXPECT_EQ(digest("crc"), "none");
}

}  // namespace
}  // namespace sluice::hooks
