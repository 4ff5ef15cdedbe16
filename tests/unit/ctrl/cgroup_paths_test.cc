#include "ctrl/node/cgroup_paths.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace sluice::node {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class CgroupPathsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/sluice-cgroups-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    fs::create_directories(directory_ + "/root/kubepods/pod1");
  }
  void TearDown() override { fs::remove_all(directory_); }

  void SetCgroup(int pid, const std::string& text) const {
    fs::create_directories(fmt::format("{}/proc/{}", directory_, pid));
    std::ofstream(fmt::format("{}/proc/{}/cgroup", directory_, pid)) << text;
  }
  // Of a file system that is no cgroup's, but has inodes as well.
  std::uint64_t IdOf(const std::string& path) const {
    struct stat info {};
    EXPECT_EQ(stat((directory_ + "/root" + path).c_str(), &info), 0);
    return info.st_ino;
  }
  CgroupPaths Paths() {
    return CgroupPaths(directory_ + "/root", directory_ + "/proc", [this] { return now_; });
  }

  std::string directory_;
  CgroupPaths::Clock::time_point now_ = CgroupPaths::Clock::now();
};

TEST_F(CgroupPathsTest, APathIsThatOfItsId) {
  SetCgroup(7, "3:cpu:/else\n0::/kubepods/pod1\n");
  CgroupPaths paths = Paths();
  EXPECT_EQ(paths.Find(7, IdOf("/kubepods/pod1")), "/kubepods/pod1");
  fs::remove_all(directory_ + "/proc/7");
  EXPECT_EQ(paths.Find(8, IdOf("/kubepods/pod1")), "/kubepods/pod1") << "an id is given once";
  SetCgroup(9, "0::/kubepods/pod1\n");
  EXPECT_EQ(paths.Find(9, IdOf("/kubepods")), "/kubepods") << "the process is somewhere else by now";
}

TEST_F(CgroupPathsTest, ACgroupIsFoundWhoseProcessHasEnded) {
  CgroupPaths paths = Paths();
  EXPECT_EQ(paths.Find(7, IdOf("/kubepods/pod1")), "/kubepods/pod1");
  fs::create_directories(directory_ + "/root/kubepods/pod2");
  EXPECT_EQ(paths.Find(8, IdOf("/kubepods/pod2")), std::nullopt) << "the last walk was a moment ago";
  now_ += 300ms;
  EXPECT_EQ(paths.Find(9, IdOf("/kubepods/pod2")), "/kubepods/pod2");
}

TEST_F(CgroupPathsTest, WhatIsNotFoundIsLookedForAgainAfterAWhile) {
  CgroupPaths paths = Paths();
  EXPECT_EQ(paths.Find(7, IdOf("/kubepods")), "/kubepods");
  fs::create_directories(directory_ + "/root/kubepods/pod2");
  const std::uint64_t id = IdOf("/kubepods/pod2");
  EXPECT_EQ(paths.Find(7, id), std::nullopt);
  SetCgroup(7, "0::/kubepods/pod2\n");
  EXPECT_EQ(paths.Find(7, id), std::nullopt);
  SetCgroup(8, "0::/kubepods/pod2\n");
  EXPECT_EQ(paths.Find(8, id), "/kubepods/pod2") << "one process does not hide another";
}

TEST_F(CgroupPathsTest, WithoutAHierarchyOrACgroupNothingIsFound) {
  SetCgroup(7, "0::/../../other\n");
  EXPECT_EQ(Paths().Find(7, 1), std::nullopt);
  SetCgroup(8, "1:name=systemd:/kubepods\n");
  EXPECT_EQ(Paths().Find(8, 1), std::nullopt);
  SetCgroup(9, "0::/\n");
  EXPECT_EQ(CgroupPaths("", directory_ + "/proc").Find(9, IdOf("/")), std::nullopt);
}

}  // namespace
}  // namespace sluice::node
