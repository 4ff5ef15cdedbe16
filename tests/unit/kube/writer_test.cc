#include "ctrl/kube/writer.h"

#include <thread>

#include "tests/unit/kube/fixture.h"

namespace sluice::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KubeWriter : public ::testing::Test {
 protected:
  KubeWriter() {
    environment_ = {.now = [this] { return now_; }, .wall = [] { return WallTime(); }, .random = [] { return 0.5; }};
    options_.limits.queued_writes = 40;
  }
  void Make() { writer_ = std::make_unique<Writer>(options_, environment_, transport_, parser_); }
  void SendPatch(const std::string& name) {
    writer_->Send({.path = "/patch/" + name, .body = name, .done = [this, name](const Status& status) {
                     done_.push_back(name + (status.ok() ? "" : ": " + Message(status)));
                   }});
  }
  void SendEvent() { writer_->Send({.method = "POST", .path = "/api/v1/namespaces/shop/events", .body = "{}"}); }
  void Answer(int code, const std::string& body = "{}", const std::string& retry_after = "") {
    transport_.Head(code, "application/json", retry_after);
    transport_.Body(body);
    transport_.End();
  }
  // Answers everything that starts now. Returns how many requests that were.
  int Drain(int code = 201) {
    int count = 0;
    for (writer_->Tick(); !transport_.idle(); writer_->Tick(), ++count) Answer(code);
    return count;
  }
  milliseconds Wait() { return std::chrono::duration_cast<milliseconds>(writer_->NextTick() - now_); }

  TimePoint now_ = TimePoint() + std::chrono::hours(100);
  Environment environment_;
  ClientOptions options_;
  FakeTransport transport_;
  simdjson::dom::parser parser_;
  std::vector<std::string> done_;
  std::unique_ptr<Writer> writer_;
};

TEST_F(KubeWriter, EventsHaveABurstAndThenOneASecond) {
  Make();
  for (int i = 0; i < 40; ++i) SendEvent();
  EXPECT_EQ(Drain(), 25);
  EXPECT_GT(Wait(), milliseconds(990));
  EXPECT_LE(Wait(), milliseconds(1002));
  now_ += seconds(10);
  EXPECT_EQ(Drain(), 10);
  EXPECT_EQ(writer_->state().queued, 5U);
  EXPECT_EQ(writer_->state().succeeded, 35U);
}

TEST_F(KubeWriter, EventsDoNotDelayOthers) {
  Make();
  for (int i = 0; i < 40; ++i) SendEvent();
  Drain();
  SendPatch("a");
  EXPECT_EQ(Drain(200), 1);
  EXPECT_THAT(done_, ElementsAre("a"));
}

TEST_F(KubeWriter, AFullQueueDropsItsOldest) {
  options_.limits.queued_writes = 2;
  Make();
  for (const char* name : {"a", "b", "c"}) SendPatch(name);
  EXPECT_THAT(done_, ElementsAre("a: the queue of writes was full"));
  EXPECT_EQ(writer_->state().dropped, 1U);
  Drain(200);
  EXPECT_THAT(done_, ElementsAre("a: the queue of writes was full", "b", "c"));
}

TEST_F(KubeWriter, AtMostFourRunAtATime) {
  Make();
  for (int i = 0; i < 6; ++i) SendPatch(std::to_string(i));
  writer_->Tick();
  EXPECT_EQ(writer_->state().queued, 2U);
  EXPECT_EQ(writer_->NextTick(), TimePoint::max());
  Answer(200);
  writer_->Tick();
  EXPECT_EQ(writer_->state().queued, 1U);
  writer_.reset();
  EXPECT_THAT(done_.back(), HasSubstr("the client ends"));
  EXPECT_EQ(done_.size(), 6U);
}

TEST_F(KubeWriter, TriesThreeTimesWithBackoffOrAsLongAsRetryAfterSays) {
  Make();
  SendPatch("a");
  writer_->Tick();
  EXPECT_EQ(transport_.request().body, "a");
  Answer(503, "busy");
  writer_->Tick();
  EXPECT_EQ(Wait(), milliseconds(800));
  now_ += Wait();
  writer_->Tick();
  Answer(429, "", "9");
  writer_->Tick();
  EXPECT_EQ(Wait(), seconds(9));
  now_ += Wait();
  writer_->Tick();
  transport_.End(MakeError(absl::StatusCode::kUnavailable, "reset"));
  EXPECT_THAT(done_, ElementsAre("a: reset"));
  EXPECT_EQ(writer_->state().failed, 1U);
  EXPECT_EQ(writer_->state().requests, 3U);
}

TEST_F(KubeWriter, ARefusalIsFinal) {
  Make();
  SendPatch("a");
  writer_->Tick();
  Answer(403, StatusJson(403, "Forbidden"));
  EXPECT_THAT(done_, ElementsAre("a: 403 Forbidden: told so"));
  transport_.set_token_changes(true);
  SendPatch("b");
  writer_->Tick();
  Answer(401, StatusJson(401, "Unauthorized"));
  EXPECT_EQ(done_.size(), 1U);  // the token has changed: once more
  now_ += seconds(2);
  writer_->Tick();
  Answer(200);
  EXPECT_EQ(done_.back(), "b");
}

TEST_F(KubeWriter, WhatIsThereAlreadyIsASuccessForThoseWhoSaySo) {
  Make();
  for (const bool ok_if_there : {true, false}) {
    writer_->Send({.method = "POST", .path = "/api/v1/namespaces/shop/events", .ok_if_there = ok_if_there});
    writer_->Tick();
    Answer(409, StatusJson(409, "AlreadyExists"));
  }
  EXPECT_EQ(writer_->state().succeeded, 1U);
  EXPECT_EQ(writer_->state().failed, 1U);
}

}  // namespace
}  // namespace sluice::kube
