#include "telemetry/history.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

TEST(History, KeepsTheNewest) {
  History history(3);
  EXPECT_TRUE(history.Read().empty());
  std::vector<EventPtr> pushed;
  for (int i = 0; i < 5; i++) {
    pushed.push_back(std::make_shared<v1::Event>());
    history.Push(pushed.back());
  }
  EXPECT_EQ(history.Read(), (std::vector<EventPtr>{pushed[2], pushed[3], pushed[4]}));
}

TEST(History, ReadingTakesNothingAway) {
  History history(3);
  history.Push(std::make_shared<v1::Event>());
  EXPECT_EQ(history.Read(), history.Read());
}

TEST(History, OfNothingKeepsNothing) {
  History history(0);
  history.Push(std::make_shared<v1::Event>());
  EXPECT_TRUE(history.Read().empty());
}

}  // namespace
}  // namespace sluice::telemetry
