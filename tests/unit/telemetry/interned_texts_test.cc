#include "telemetry/event/interned_texts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace sluice::telemetry {
namespace {

TEST(InternedTexts, EqualTextsAreOne) {
  InternedTexts texts;
  const auto first = texts.Add("web-0");
  const auto again = texts.Add("web-0");
  const auto other = texts.Add("db-0");
  EXPECT_EQ(first.text, again.text);
  EXPECT_NE(first.text, other.text);
  EXPECT_EQ(*other.text, "db-0");
  EXPECT_GT(first.bytes, 0U);
  EXPECT_EQ(again.bytes, 0U);
  EXPECT_EQ(texts.bytes(), first.bytes + other.bytes);
}

TEST(InternedTexts, ATextGoesWithItsLastHolder) {
  InternedTexts texts;
  auto first = texts.Add(std::string(1000, 'x')).text;
  auto second = texts.Add(std::string(1000, 'x')).text;
  first.reset();
  EXPECT_GT(texts.bytes(), 1000U);
  second.reset();
  EXPECT_EQ(texts.bytes(), 0U);
  EXPECT_GT(texts.Add(std::string(1000, 'x')).bytes, 1000U) << "it is a new one";
}

TEST(InternedTexts, TextsMayOutliveIt) {
  InternedTexts::Text text;
  {
    InternedTexts texts;
    text = texts.Add("web-0").text;
  }
  EXPECT_EQ(*text, "web-0");
}

TEST(InternedTexts, ManyThreadsAddAndLetGo) {
  InternedTexts texts;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20000; ++round) {
        const std::string text = "text " + std::to_string(round % 3);
        if (*texts.Add(text).text != text) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(texts.bytes(), 0U);
}

}  // namespace
}  // namespace sluice::telemetry
