// What is found in real processes, and what is kept of it.
#include "ctrl/respond/evidence.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "ctrl/respond/forensic_store.h"
#include "tests/unit/respond/child.h"

namespace sluice::respond {
namespace {

namespace fs = std::filesystem;
using policy::response::Collect;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class EvidenceTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  std::vector<Evidence> Look(const Child& child, const Collect& collect) {
    const auto handle = ProcessHandle::Open(static_cast<std::uint32_t>(child.pid()), BirthOf(child.pid()));
    EXPECT_TRUE(handle.ok()) << handle.status();
    if (!handle.ok()) return {};
    auto found = OpenEvidence(*handle, collect);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : std::vector<Evidence>();
  }
  static std::vector<std::string> Paths(const std::vector<Evidence>& all) {
    std::vector<std::string> paths;
    for (const Evidence& one : all) paths.push_back(one.path);
    return paths;
  }
  static std::string Read(const Evidence& one) {
    std::string text(1 << 16, '\0');
    const ssize_t got = pread(one.file.get(), text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
  }

  const std::string directory_ = testing::TempDir() + "sluice-evidence-" + std::to_string(getpid());
};

TEST_F(EvidenceTest, TheProgramThatRuns) {
  Child child;
  const auto found = Look(child, {.written = false, .memory = false});
  EXPECT_THAT(Paths(found), ElementsAre(fs::read_symlink("/proc/self/exe").string()));
  EXPECT_EQ(found.at(0).kind, v1::CollectedFile::EXECUTABLE);
  EXPECT_TRUE(found[0].file.valid());
  EXPECT_EQ(Read(found[0]).substr(0, 4), "\177ELF");
}

TEST_F(EvidenceTest, FilesThatItWritesAlsoWhenTheyAreDeleted) {
  Child child([this] {
    const int written = open(File("written").c_str(), O_WRONLY | O_CREAT, 0600);
    const int gone = open(File("gone").c_str(), O_RDWR | O_CREAT, 0600);
    const int again = dup(gone);
    unlink(File("gone").c_str());
    std::ofstream(File("read")) << "x";
    const int read_only = open(File("read").c_str(), O_RDONLY);
    if (write(written, "loot", 4) != 4 || write(again, "deleted", 7) != 7 || read_only < 0) _exit(1);
  });
  const auto found = Look(child, {.executable = false, .memory = false});
  ASSERT_THAT(Paths(found), UnorderedElementsAre(File("written"), File("gone") + " (deleted)"));
  for (const Evidence& one : found) {
    EXPECT_EQ(one.kind, v1::CollectedFile::WRITTEN);
    EXPECT_EQ(Read(one), one.path == File("written") ? "loot" : "deleted");
  }
}

TEST_F(EvidenceTest, PipesDevicesAndDirectoriesAreLeftAlone) {
  Child child([this] {
    mkfifo(File("fifo").c_str(), 0600);
    const int fifo = open(File("fifo").c_str(), O_RDWR);
    const int device = open("/dev/null", O_RDWR);
    if (fifo < 0 || device < 0) _exit(1);
  });
  EXPECT_THAT(Look(child, {.executable = false, .memory = false}), IsEmpty());
}

TEST_F(EvidenceTest, CodeInMemoryWithAndWithoutADescriptor) {
  Child child([] {
    const int open_one = memfd_create("stage1", 0);
    if (write(open_one, "payload", 7) != 7) _exit(1);
    const int mapped = memfd_create("stage2", 0);
    if (ftruncate(mapped, 4096) != 0 || pwrite(mapped, "code", 4, 0) != 4) _exit(1);
    if (mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, mapped, 0) == MAP_FAILED) _exit(1);
    close(mapped);
  });
  const auto found = Look(child, {.executable = false, .written = false});
  ASSERT_THAT(Paths(found), UnorderedElementsAre("/memfd:stage1 (deleted)", "/memfd:stage2 (deleted)"));
  for (const Evidence& one : found) {
    EXPECT_EQ(one.kind, v1::CollectedFile::MEMORY);
    ASSERT_TRUE(one.file.valid()) << one.problem;
    EXPECT_EQ(Read(one).substr(0, 4), one.path == "/memfd:stage1 (deleted)" ? "payl" : "code");
  }
}

TEST_F(EvidenceTest, WhatIsCountedIsBounded) {
  Child child([this] {
    for (int i = 0; i < 20; ++i) {
      if (open(File(std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0600) < 0) _exit(1);
    }
  });
  EXPECT_EQ(Look(child, {.max_files = 5}).size(), 5U);
}

TEST_F(EvidenceTest, AProcessThatHasEndedHasNothing) {
  Child child;
  const auto handle = ProcessHandle::Open(static_cast<std::uint32_t>(child.pid()), BirthOf(child.pid()));
  ASSERT_TRUE(handle.ok()) << handle.status();
  kill(child.pid(), SIGKILL);
  ASSERT_EQ(child.Signal(), SIGKILL);
  EXPECT_TRUE(absl::IsNotFound(OpenEvidence(*handle, {}).status()));
}

class StoreTest : public EvidenceTest {
 protected:
  ForensicStore Make(std::uint64_t max_bytes = 1 << 20, std::size_t max_files = 10) {
    return ForensicStore({.directory = File("store"), .max_bytes = max_bytes, .max_files = max_files});
  }
  StatusOr<ForensicStore::Copy> Add(ForensicStore& store, const std::string& text, std::uint64_t most = 1 << 20) {
    std::ofstream(File("in")) << text;
    const Fd file(open(File("in").c_str(), O_RDONLY));
    return store.Add(file.get(), most);
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(File("store"))) names.push_back(entry.path().filename());
    return names;
  }
};

TEST_F(StoreTest, CopiesAreNamedByTheirSha256) {
  ForensicStore store = Make();
  const auto copy = Add(store, "abc");
  ASSERT_TRUE(copy.ok()) << copy.status();
  // FIPS 180-2, B.1
  EXPECT_EQ(copy->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(copy->bytes, 3U);
  EXPECT_FALSE(copy->truncated);
  EXPECT_THAT(Names(), ElementsAre(copy->sha256));
  std::string text;
  std::getline(std::ifstream(File("store/" + copy->sha256)), text);
  EXPECT_EQ(text, "abc");
  struct stat info {};
  ASSERT_EQ(stat(File("store").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  ASSERT_EQ(stat(File("store/" + copy->sha256).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0400U);
  ASSERT_TRUE(Add(store, "abc").ok());
  EXPECT_EQ(store.fill().files, 1U) << "the same once";
  EXPECT_EQ(store.fill().bytes, 3U);
}

TEST_F(StoreTest, ALongFileIsCutAndSaysSo) {
  ForensicStore store = Make();
  const auto cut = Add(store, "abcdef", 3);
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_EQ(cut->sha256, Add(store, "abc")->sha256);
  EXPECT_TRUE(cut->truncated);
  EXPECT_FALSE(Add(store, "abcdef", 6)->truncated);
}

TEST_F(StoreTest, TheOldestMakeRoomAlsoThoseOfAnEarlierAgent) {
  std::string first, second;
  {
    ForensicStore store = Make(100);
    first = Add(store, std::string(40, 'a'))->sha256;
    usleep(20'000);  // their times differ
    second = Add(store, std::string(40, 'b'))->sha256;
  }
  ForensicStore store = Make(100);
  ASSERT_TRUE(Add(store, std::string(40, 'a')).ok());  // wanted again
  const auto third = Add(store, std::string(40, 'c'));
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_THAT(Names(), UnorderedElementsAre(first, third->sha256));
  EXPECT_EQ(store.fill().bytes, 80U);
  EXPECT_EQ(store.fill().removed, 1U);
  ForensicStore few = Make(1000, 1);
  ASSERT_TRUE(Add(few, "d").ok());
  EXPECT_EQ(Names().size(), 1U);
}

TEST_F(StoreTest, OnlyItsOwnFilesAreRemoved) {
  fs::create_directories(File("store"));
  std::ofstream(File("store/notes.txt")) << "keep";
  std::ofstream(File("store/.unfinished")) << "rest of a copy";
  ForensicStore store = Make(3, 1);
  ASSERT_TRUE(Add(store, "abc").ok());
  ASSERT_TRUE(Add(store, "def").ok());
  EXPECT_THAT(Names(), Contains("notes.txt"));
  EXPECT_EQ(store.fill().files, 1U);
}

TEST_F(StoreTest, AnErrorNamesTheDirectory) {
  ForensicStore store({.directory = File("missing") + "/store"});
  const auto added = Add(store, "abc");
  EXPECT_THAT(Message(added.status()), HasSubstr(File("missing/store")));
}

}  // namespace
}  // namespace sluice::respond
