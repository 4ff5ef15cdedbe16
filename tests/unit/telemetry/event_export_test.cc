#include "telemetry/event/event_export.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/fake_clock.h"

namespace sluice::telemetry {
namespace {

using nlohmann::json;

class Export : public testing::Test {
 protected:
  Export() {
    std::string name = "/tmp/sluice-export-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    directory_ = name;
  }
  ~Export() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/events"; }
  static std::vector<std::string> Lines(const std::string& path) {
    std::vector<std::string> lines;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  static EventPtr Exec(const std::string& argument) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_exec()->set_type("exec");
    event->mutable_exec()->mutable_process()->add_arguments(argument);
    return event;
  }
  // Writes all published events.
  void Finish(std::unique_ptr<EventExport> exporting) {
    hub_.Close();
    exporting.reset();
  }

  std::string directory_;
  test::FakeClock clock_;
  EventHub hub_{{.node = "node-1"}, [](bool) {}};
};

TEST_F(Export, LinesParseAndForksAreLeftOut) {
  auto started = EventExport::Start({.node = "node-1", .file = {.path = path()}}, &hub_);
  ASSERT_TRUE(started.ok()) << started.status();
  auto fork = std::make_shared<v1::Event>();
  fork->mutable_fork()->set_type("fork");
  hub_.Publish(Exec("one"));
  hub_.Publish(fork);
  hub_.Publish(Exec("two"));
  Finish(*std::move(started));
  const auto lines = Lines(path());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(json::parse(lines[0])["process"]["arguments"][0], "one");
  EXPECT_EQ(json::parse(lines[1])["process"]["arguments"][0], "two");
  struct stat facts {};
  ASSERT_EQ(stat(path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST_F(Export, WhatExceedsTheRateIsCountedAndTold) {
  auto started =
      EventExport::Start({.node = "node-1", .file = {.path = path()}, .rate = 2, .clock = clock_.reader()}, &hub_);
  ASSERT_TRUE(started.ok()) << started.status();
  for (const char* name : {"1", "2", "3", "4", "5"}) hub_.Publish(Exec(name));
  hub_.Close();
  while ((*started)->written() + (*started)->lost_by_rate() < 5) std::this_thread::yield();
  EXPECT_EQ((*started)->lost_by_rate(), 3U);
  Finish(*std::move(started));
  const auto lines = Lines(path());
  ASSERT_EQ(lines.size(), 3U);
  const json lost = json::parse(lines[2]);
  EXPECT_EQ(lost["type"], "lost");
  EXPECT_EQ(lost["cause"], "EXPORT_RATE");
  EXPECT_EQ(lost["count"], 3);
}

TEST_F(Export, AFloodOfOneWorkloadsLeavesRoomForOthers) {
  const auto exec = [](const char* workload) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_exec()->set_type("exec");
    event->mutable_exec()->set_namespace_("shop");
    event->mutable_exec()->set_workload(workload);
    return event;
  };
  constexpr int kFlood = 2000;
  auto started = EventExport::Start(
      {.node = "node-1", .file = {.path = path(), .max_bytes = 16000, .max_files = 2}, .clock = clock_.reader()},
      &hub_);
  ASSERT_TRUE(started.ok()) << started.status();
  for (int i = 0; i < kFlood; i++) hub_.Publish(exec("flood"));
  hub_.Publish(exec("quiet"));
  hub_.Close();
  while ((*started)->written() + (*started)->lost_by_share() < kFlood + 1) std::this_thread::yield();
  const std::uint64_t lost = (*started)->lost_by_share();
  EXPECT_GT(lost, 0U);
  Finish(*std::move(started));
  std::uint64_t quiet = 0, told = 0, bytes = 0;
  for (const std::string& name : {path(), path() + ".1"}) {
    for (const std::string& line : Lines(name)) {
      const json event = json::parse(line);
      bytes += line.size() + 1;
      quiet += event.value("workload", "") == "quiet";
      if (event["type"] != "lost") continue;
      EXPECT_EQ(event["cause"], "EXPORT_SHARE");
      EXPECT_EQ(event["workload"], "flood");
      told += event["count"].get<std::uint64_t>();
    }
  }
  EXPECT_EQ(quiet, 1U);
  EXPECT_EQ(told, lost);
  EXPECT_LT(bytes, 17000U) << "half of the files, and what is told of losses";
}

TEST_F(Export, LossesAreToldOnceASecond) {
  const auto exec = [](const std::string& workload) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_exec()->set_type("exec");
    event->mutable_exec()->set_namespace_("shop");
    event->mutable_exec()->set_workload(workload);
    return event;
  };
  auto started =
      EventExport::Start({.node = "node-1", .file = {.path = path()}, .rate = 16, .clock = clock_.reader()}, &hub_);
  ASSERT_TRUE(started.ok()) << started.status();
  std::uint64_t published = 0;
  for (int i = 0; i < 20; i++) {  // each quiet event comes after losses of all floods
    for (int j = 0; j < 5; j++) {
      for (const char* flood : {"flood-1", "flood-2"}) hub_.Publish(exec(flood)), published++;
    }
    hub_.Publish(exec("quiet-" + std::to_string(i))), published++;
  }
  while ((*started)->written() + (*started)->lost_by_rate() < published) std::this_thread::yield();
  Finish(*std::move(started));
  std::map<std::string, std::pair<int, int>> told;  // lines and events
  int quiet = 0;
  for (const std::string& line : Lines(path())) {
    const json event = json::parse(line);
    quiet += event["workload"].get<std::string>().starts_with("quiet");
    if (event["type"] != "lost") continue;
    EXPECT_EQ(event["cause"], "EXPORT_RATE");
    auto& [lines, events] = told[event["workload"]];
    lines++;
    events += event["count"].get<int>();
  }
  EXPECT_GE(quiet, 6);
  for (const char* flood : {"flood-1", "flood-2"}) {
    EXPECT_GT(told[flood].second, 80) << flood;
    EXPECT_LE(told[flood].first, 2) << flood;
  }
}

TEST_F(Export, FileMustBeWritable) {
  const auto started = EventExport::Start({.node = "n", .file = {.path = directory_ + "/no/such"}}, &hub_);
  EXPECT_NE(Message(started.status()).find(directory_ + "/no/such"), std::string::npos);
  EXPECT_EQ(hub_.subscribers(), 0U);
}

TEST(RateLimit, ASecondsWorthAtOnceThenAsTimeGoes) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  RateLimit limit(10);
  int taken = 0;
  for (int i = 0; i < 50; i++) taken += limit.Take({}, kSecond) ? 1 : 0;
  EXPECT_EQ(taken, 10);
  EXPECT_TRUE(limit.Take({}, kSecond + kSecond / 10));
  EXPECT_FALSE(limit.Take({}, kSecond + kSecond / 10));
  for (int i = 0; i < 50; i++) taken += limit.Take({}, 100 * kSecond) ? 1 : 0;
  EXPECT_EQ(taken, 20) << "no more than a second's worth is saved";
  RateLimit none(0);
  EXPECT_TRUE(none.Take({}, 1));
}

TEST(RateLimit, AFloodOfOneWorkloadsLeavesOthersTheirPlaces) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  RateLimit limit(100);
  int of_flood = 0, of_quiet = 0;
  for (std::uint64_t ms = 1; ms <= 10000; ms++) {
    const std::uint64_t now = kSecond + ms * kSecond / 1000;
    for (int i = 0; i < 10; i++) of_flood += limit.Take({"shop", "flood"}, now) ? 1 : 0;
    if (ms % 250 == 0) of_quiet += limit.Take({"shop", "quiet"}, now) ? 1 : 0;
  }
  EXPECT_EQ(of_quiet, 40);
  EXPECT_GT(of_flood, 900) << "what others leave is anybody's";
  EXPECT_LE(of_flood + of_quiet, 1150);
}

TEST_F(Export, FullFilesAreRenamedAndTheOldestGoes) {
  auto file = RotatingFile::Open({.path = path(), .max_bytes = 10, .max_files = 3});
  ASSERT_TRUE(file.ok()) << file.status();
  for (const char* line : {"aaaa", "bbbb", "cccc", "a line that is longer than a file", "dddd", "eeee", "ffff"}) {
    ASSERT_TRUE(file->Write(line).ok());
  }
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"ffff"}));
  EXPECT_EQ(Lines(path() + ".1"), (std::vector<std::string>{"dddd", "eeee"}));
  EXPECT_EQ(Lines(path() + ".2"), (std::vector<std::string>{"a line that is longer than a file"}));
  EXPECT_FALSE(std::filesystem::exists(path() + ".3"));
}

// Whatever other programs do to the file, each line is complete, and is in the file that has the name at that moment.
TEST_F(Export, FollowsTheNameOfTheFile) {
  auto file = RotatingFile::Open({.path = path()});
  ASSERT_TRUE(file.ok() && file->Write("one").ok());
  std::filesystem::rename(path(), path() + ".moved");
  ASSERT_TRUE(file->Write("two").ok());
  EXPECT_EQ(Lines(path() + ".moved"), (std::vector<std::string>{"one"}));
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"two"}));
  EXPECT_EQ(file->moved(), 1U);
  std::filesystem::remove(path());
  ASSERT_TRUE(file->Write("three").ok());
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"three"}));
  std::filesystem::rename(path() + ".moved", path());  // another file has its name
  ASSERT_TRUE(file->Write("four").ok());
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"one", "four"}));
  std::filesystem::resize_file(path(), 0);  // copytruncate
  ASSERT_TRUE(file->Write("five").ok());
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"five"}));
  EXPECT_EQ(file->moved(), 4U);
  std::filesystem::remove_all(directory_);
  EXPECT_FALSE(file->Write("six").ok());
  std::filesystem::create_directory(directory_);
  ASSERT_TRUE(file->Write("seven").ok());
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"seven"}));
}

TEST_F(Export, RotationGoesOnAfterTruncation) {
  auto file = RotatingFile::Open({.path = path(), .max_bytes = 20, .max_files = 2});
  ASSERT_TRUE(file.ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(file->Write("aaaaa").ok());
  std::filesystem::resize_file(path(), 0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(file->Write("bbbbb").ok());
  EXPECT_EQ(Lines(path()).size(), 3U);
  EXPECT_FALSE(std::filesystem::exists(path() + ".1"));
}

// A file system with this size; skips the test when it cannot be mounted.
class FullDisk : public Export {
 protected:
  void SetUp() override {
    if (mount("none", directory_.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "needs the right to mount";
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount2(directory_.c_str(), MNT_DETACH);
  }
  std::string Text() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  bool mounted_ = false;
};

TEST_F(FullDisk, AfterTruncationThereAreWholeLinesAndNoNuls) {
  auto file = RotatingFile::Open({.path = path()});
  ASSERT_TRUE(file.ok()) << file.status();
  const std::string line(6000, 'a');
  std::size_t written = 0;
  while (file->Write(line).ok()) written++;
  ASSERT_GT(written, 5U);
  EXPECT_EQ(Lines(path()).size(), written) << "of the line that failed nothing is left";
  std::filesystem::resize_file(path(), 0);
  std::ofstream(directory_ + "/filler") << std::string(60000, 'f');
  EXPECT_FALSE(file->Write(line).ok());
  EXPECT_EQ(Text().find('\0'), std::string::npos);
  std::filesystem::remove(directory_ + "/filler");
  ASSERT_TRUE(file->Write("b").ok());
  EXPECT_EQ(Text(), "b\n");
}

TEST_F(Export, ALineWithoutItsEndGetsOne) {
  std::ofstream(path()) << "whole\nhal";
  auto file = RotatingFile::Open({.path = path()});
  ASSERT_TRUE(file.ok() && file->Write("next").ok());
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"whole", "hal", "next"}));
}

TEST_F(Export, GoesOnWhereItStopped) {
  for (const char* line : {"aaaa", "bbbb", "cccc"}) {
    auto file = RotatingFile::Open({.path = path(), .max_bytes = 10, .max_files = 2});
    ASSERT_TRUE(file.ok() && file->Write(line).ok());
  }
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"cccc"}));
  EXPECT_EQ(Lines(path() + ".1"), (std::vector<std::string>{"aaaa", "bbbb"}));
}

TEST_F(Export, OneFileStartsAnew) {
  auto file = RotatingFile::Open({.path = path(), .max_bytes = 10, .max_files = 1});
  ASSERT_TRUE(file.ok());
  for (const char* line : {"aaaa", "bbbb", "cccc"}) ASSERT_TRUE(file->Write(line).ok());
  EXPECT_EQ(Lines(path()), (std::vector<std::string>{"cccc"}));
}

}  // namespace
}  // namespace sluice::telemetry
