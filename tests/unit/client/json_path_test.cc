#include "ctrl/sluice/json_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::client {
namespace {

using testing::HasSubstr;

const Json kPod =
    Json::parse(R"({"metadata": {"name": "web-0", "labels": {"app": "web", "app.kubernetes.io/name": "w"}},
                                  "status": {"ips": ["10.1.0.2", "fd00::2"], "ready": true, "ports": [{"port": 80}]}})");

std::string Find(const std::string& path) {
  const auto parsed = JsonPath::Parse(path);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? ValuesText(parsed->Find(kPod), ",") : "";
}

TEST(JsonPath, FindsNamesIndexesAndAll) {
  EXPECT_EQ(Find(".metadata.name"), "web-0");
  EXPECT_EQ(Find("metadata.name"), "web-0");
  EXPECT_EQ(Find(".metadata.labels['app.kubernetes.io/name']"), "w");
  EXPECT_EQ(Find(R"(.metadata.labels.app\.kubernetes\.io/name)"), "w");
  EXPECT_EQ(Find(".metadata.labels.*"), "") << "a name as others";
  EXPECT_EQ(Find(".metadata.labels[*]"), "web,w");
  EXPECT_EQ(Find(".status.ips[0]"), "10.1.0.2");
  EXPECT_EQ(Find(".status.ips[-1]"), "fd00::2");
  EXPECT_EQ(Find(".status.ips[*]"), "10.1.0.2,fd00::2");
  EXPECT_EQ(Find(".status.ports[*].port"), "80");
  EXPECT_EQ(Find(".status.ready"), "true");
  EXPECT_EQ(Find(".status.ports"), R"([{"port":80}])");
}

TEST(JsonPath, WhatIsNotThereIsNothing) {
  for (const char* path :
       {".nothing", ".metadata.name.more", ".status.ips[2]", ".status.ips[-3]", ".status.ready[*]"}) {
    EXPECT_EQ(Find(path), "") << path;
  }
}

TEST(JsonPath, SaysWhatItDoesNotKnow) {
  for (const char* path : {"..name", ".a[", ".a[?(@.x)]", ".a[0:2]", ".a['b]", ".a."}) {
    const auto parsed = JsonPath::Parse(path);
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << path;
    EXPECT_THAT(Message(parsed.status()), HasSubstr("[*]")) << path;
  }
}

TEST(JsonTemplate, FillsPathsAndStringsIntoText) {
  const auto filled = JsonTemplate::Parse(R"(name {.metadata.name}: {.status.ips[*]}{"\n"}end)");
  ASSERT_TRUE(filled.ok()) << filled.status();
  EXPECT_EQ(filled->Fill(kPod), "name web-0: 10.1.0.2 fd00::2\nend");
  EXPECT_FALSE(JsonTemplate::Parse("{.a").ok());
  EXPECT_FALSE(JsonTemplate::Parse("{\"a}").ok());
}

}  // namespace
}  // namespace sluice::client
