#include "telemetry/detect/detection_output.h"

#include <gmock/gmock.h>

#include "tests/unit/detect/rules.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using Sent = DetectionSender::Sent;
using test::Detection;
using test::Eventually;

// A receiver that answers what the test says.
struct Script {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> received;
  std::function<DetectionSender::Result(const v1::Detection&)> answer = [](const v1::Detection&) {
    return DetectionSender::Result{};
  };
  bool blocked = false;

  std::vector<std::string> Received() {
    const std::lock_guard lock(mutex);
    return received;
  }
};

class ScriptedSender : public DetectionSender {
 public:
  explicit ScriptedSender(Script* script) : script_(script) {}
  Result Send(const v1::Event& event) override {
    std::unique_lock lock(script_->mutex);
    script_->changed.wait(lock, [this] { return !script_->blocked || interrupted_; });
    if (interrupted_) return {.sent = Sent::kLater, .problem = "interrupted"};
    Result result = script_->answer(event.detection());
    if (result.sent == Sent::kDone) script_->received.push_back(event.detection().output());
    return result;
  }
  void Interrupt() override {
    const std::lock_guard lock(script_->mutex);
    interrupted_ = true;
    script_->changed.notify_all();
  }

 private:
  Script* const script_;
  bool interrupted_ = false;
};

DetectionOutput::Options Quick(std::size_t events = 100) {
  return {.name = "test", .queue = {.max_events = events}, .first_pause = 1ms, .longest_pause = 4ms, .at_end = 200ms};
}

TEST(DetectionOutput, SendsInOrderAndAtTheEnd) {
  Script script;
  {
    DetectionOutput output(Quick(), std::make_unique<ScriptedSender>(&script));
    for (const char* text : {"1", "2", "3"}) output.Offer(Detection("r", "w", text));
  }
  EXPECT_THAT(script.Received(), testing::ElementsAre("1", "2", "3"));
}

TEST(DetectionOutput, AFailureIsTriedAgainAndARefusalIsNot) {
  Script script;
  int tries = 0;
  script.answer = [&tries](const v1::Detection& detection) -> DetectionSender::Result {
    if (detection.output() == "bad") return {.sent = Sent::kRefused, .problem = "answers 400"};
    if (detection.output() == "later" && ++tries < 4) return {.sent = Sent::kLater, .problem = "nobody listens"};
    return {};
  };
  DetectionOutput output(Quick(), std::make_unique<ScriptedSender>(&script));
  for (const char* text : {"bad", "later", "good"}) output.Offer(Detection("r", "w", text));
  ASSERT_TRUE(Eventually([&] { return output.Numbers().sent == 2; }));
  EXPECT_THAT(script.Received(), testing::ElementsAre("later", "good"));
  const DetectionOutputNumbers numbers = output.Numbers();
  EXPECT_EQ(numbers.lost, 1U);
  EXPECT_EQ(numbers.failures, 4U);
  EXPECT_EQ(numbers.problem, "");
  RuleLosses losses;
  output.AddLosses(&losses);
  ASSERT_EQ(losses.All().size(), 1U);
  EXPECT_EQ(losses.All()[0].unsent, 1U);
}

TEST(DetectionOutput, AReceiverThatHangsDelaysNobodyAndWhatIsLostIsCounted) {
  Script script;
  script.blocked = true;
  const auto begin = std::chrono::steady_clock::now();
  {
    DetectionOutput output(Quick(10), std::make_unique<ScriptedSender>(&script));
    for (int i = 0; i < 1000; ++i) output.Offer(Detection("loud", "w", "x"));
    output.Offer(Detection("quiet", "w", "q"));
    const DetectionOutputNumbers numbers = output.Numbers();
    EXPECT_EQ(numbers.queued, 10U);
    EXPECT_GE(numbers.lost, 990U);
    RuleLosses losses;
    output.AddLosses(&losses);
    ASSERT_EQ(losses.All().size(), 1U) << "the quiet rule's detection is still there";
    EXPECT_EQ(losses.All()[0].rule, "loud");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << "and its end waits for nobody";
}

}  // namespace
}  // namespace sluice::telemetry
