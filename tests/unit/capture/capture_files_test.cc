#include "telemetry/capture/capture_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace sluice::telemetry {
namespace {

namespace fs = std::filesystem;

class CaptureFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove_all(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  CaptureFiles Open(std::uint64_t max_bytes = 1000, std::uint32_t max_files = 100) {
    auto files = CaptureFiles::Open({.directory = directory_, .max_bytes = max_bytes, .max_files = max_files});
    EXPECT_TRUE(files.ok()) << files.status();
    return *std::move(files);
  }
  void Put(const std::string& name, std::size_t bytes, int second) {
    fs::create_directories(directory_);
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << std::string(bytes, 'x');
    const timeval times[2] = {{1000000 + second, 0}, {1000000 + second, 0}};
    ASSERT_EQ(utimes(path.c_str(), times), 0);
  }
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& one : fs::directory_iterator(directory_)) names.insert(one.path().filename());
    return names;
  }
  using NameSet = std::set<std::string>;

  const std::string directory_ =
      ::testing::TempDir() + "capture_files_" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(CaptureFilesTest, TheDirectoryComesWithTheFirstFileAndIsTheOwners) {
  const CaptureFiles files = Open();
  EXPECT_FALSE(fs::exists(directory_));
  ASSERT_TRUE(files.Prepare().ok());
  struct stat made {};
  ASSERT_EQ(stat(directory_.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0700u);
}

TEST_F(CaptureFilesTest, NamesTellWorkloadTimeAndCause) {
  const CaptureFiles files = Open();
  ASSERT_TRUE(files.Prepare().ok());
  const std::chrono::system_clock::time_point at{std::chrono::milliseconds(1796130900123)};
  const std::string path = files.NewPath({"shop", "web-0"}, "denied", at);
  EXPECT_EQ(path, directory_ + "/shop_web-0_20261201T131500.123Z_denied.pcapng");
  std::ofstream(path + CaptureFiles::kUnfinished) << "x";
  EXPECT_EQ(files.NewPath({"shop", "web-0"}, "denied", at),
            directory_ + "/shop_web-0_20261201T131500.123Z_denied-2.pcapng");
}

TEST_F(CaptureFilesTest, TheWorkloadWithTheMostLosesItsOldest) {
  Put("shop_web-0_1_denied.pcapng", 300, 1);
  Put("shop_db-0_1_denied.pcapng", 300, 0);
  Put("shop_web-0_2_denied.pcapng", 300, 2);
  Put("shop_web-0_3_denied.pcapng", 300, 3);
  CaptureFiles files = Open();
  EXPECT_EQ(Names(),
            (NameSet{"shop_db-0_1_denied.pcapng", "shop_web-0_2_denied.pcapng", "shop_web-0_3_denied.pcapng"}));
  EXPECT_EQ(files.usage().bytes, 900u);
  EXPECT_EQ(files.usage().removed, 1u);
  Put("shop_web-0_4_denied.pcapng", 700, 4);
  ASSERT_TRUE(files.MakeRoom().ok());
  EXPECT_EQ(Names(), (NameSet{"shop_db-0_1_denied.pcapng", "shop_web-0_4_denied.pcapng"}));
}

TEST_F(CaptureFilesTest, NumberOfFilesIsBoundedToo) {
  for (int i = 0; i < 5; ++i) Put("a_b_" + std::to_string(i) + "_hook.pcapng", 1, i);
  Open(1000, 2);
  EXPECT_EQ(Names(), (NameSet{"a_b_3_hook.pcapng", "a_b_4_hook.pcapng"}));
}

TEST_F(CaptureFilesTest, OtherFilesStayAndUnfinishedOnesGo) {
  Put("notes.txt", 5000, 0);
  Put("mine.pcapng", 5000, 0);
  Put("shop_web-0_1_denied.pcapng.part", 10, 0);
  Open();
  EXPECT_EQ(Names(), (NameSet{"notes.txt", "mine.pcapng"}));
}

TEST_F(CaptureFilesTest, AFileInThePlaceOfTheDirectory) {
  std::ofstream(directory_) << "x";
  const auto files = CaptureFiles::Open({.directory = directory_});
  EXPECT_EQ(files.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(files.status().message().find(directory_), std::string::npos);
}

}  // namespace
}  // namespace sluice::telemetry
