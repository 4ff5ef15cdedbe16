#include "ctrl/cri/read_once.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cri {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ReadOnce, EachIsReadOnceAndForgottenWithTheList) {
  ReadOnce<int> known;
  bool gone = true;
  std::map<std::string, int> listed{{"a", 0}, {"b", 0}};
  EXPECT_THAT(known.Listed(listed, {}, &gone), ElementsAre("a", "b"));
  EXPECT_FALSE(gone);
  known.Read("a", 1);
  EXPECT_THAT(known.Listed(listed, {}, &gone), ElementsAre("b"));
  listed.erase("a");
  EXPECT_THAT(known.Listed(listed, {}, &gone), ElementsAre("b"));
  EXPECT_TRUE(gone);
  EXPECT_THAT(known.known(), IsEmpty());
  listed["a"] = 0;
  EXPECT_THAT(known.Listed(listed, {}, &gone), ElementsAre("a", "b")) << "its status is asked for again";
}

TEST(ReadOnce, WhatFailedIsTriedAgainEverMoreSeldom) {
  ReadOnce<int> known;
  bool gone = false;
  const std::map<std::string, int> listed{{"a", 0}};
  ReadOnce<int>::Time now{};
  EXPECT_FALSE(known.again());
  EXPECT_TRUE(known.Failed("a", "no", now));
  EXPECT_EQ(known.again(), now + milliseconds(200));
  EXPECT_THAT(known.Listed(listed, now + milliseconds(199), &gone), IsEmpty());
  EXPECT_THAT(known.Listed(listed, now + milliseconds(200), &gone), ElementsAre("a"));
  for (const int wait : {400, 800, 1600, 3200, 6400, 12'800, 25'600, 30'000, 30'000}) {
    EXPECT_FALSE(known.Failed("a", "still no", now)) << "only the first failure is news";
    EXPECT_EQ(known.again(), now + milliseconds(wait));
  }
  EXPECT_EQ(known.failed(), 1U);
  EXPECT_EQ(known.an_error(), "still no");
  known.Read("a", 1);
  EXPECT_EQ(known.failed(), 0U);
  EXPECT_EQ(known.an_error(), "");
  EXPECT_TRUE(known.Failed("b", "no", now));
  EXPECT_THAT(known.Listed(listed, now, &gone), IsEmpty());
  EXPECT_EQ(known.failed(), 0U) << "no longer listed";
}

}  // namespace
}  // namespace sluice::cri
