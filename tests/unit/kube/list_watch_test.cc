// One resource's state machine, with a clock and a server that the test moves by hand.
#include "ctrl/kube/list_watch.h"

#include <random>

#include "tests/unit/kube/fixture.h"

namespace sluice::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;
using Phase = ResourceState::Phase;

class KubeListWatch : public ::testing::Test {
 protected:
  KubeListWatch() {
    shared_.environment = {
        .now = [this] { return now_; }, .wall = [this] { return wall_; }, .random = [this] { return random_; }};
    shared_.transport = &transport_;
    shared_.sink = &sink_;
    shared_.parser = &parser_;
    Make();
  }
  void Make() { watch_ = std::make_unique<ListWatch>(SpecOf(policy::Kind::kPod), shared_); }

  void Tick() {
    watch_->Flush();
    watch_->Tick();
  }
  void Pass(milliseconds time) {
    now_ += time;
    wall_ += time;
    Tick();
  }
  // How long the machine waits before its next request.
  milliseconds Wait() const { return std::chrono::duration_cast<milliseconds>(watch_->NextTick() - now_); }
  // Moves the clock to the next request.
  void PassWait() { Pass(std::max(Wait(), milliseconds(0))); }

  // The response to the request that is running.
  void Answer(int code, const std::string& body, const std::string& retry_after = "") {
    ASSERT_FALSE(transport_.idle());
    transport_.Head(code, "application/json", retry_after);
    if (transport_.Body(body)) {
      transport_.End();
    } else {
      transport_.End(MakeError(absl::StatusCode::kCancelled, "given up by its reader"));
    }
    watch_->Flush();
  }
  void AnswerList(int version, const std::vector<std::string>& objects, const std::string& next = "") {
    Answer(200, ListJson(version, objects, next));
  }
  // Lists `objects`, and begins a watch.
  void Sync(int version, const std::vector<std::string>& objects) {
    Tick();
    AnswerList(version, objects);
    Tick();
    transport_.Head(200);
  }
  bool Send(const std::string& events) {
    const bool takes = transport_.Body(events);
    watch_->Flush();
    return takes;
  }
  void EndWatch(const Status& status = OkStatus()) {
    transport_.End(status);
    watch_->Flush();
  }
  void GiveUp() { EndWatch(MakeError(absl::StatusCode::kCancelled, "given up by its reader")); }

  bool Lists() const { return !transport_.idle() && transport_.request().path.find("watch=") == std::string::npos; }
  bool Watches() const { return !transport_.idle() && transport_.request().path.find("watch=") != std::string::npos; }
  const std::string& Path() const { return transport_.request().path; }
  const ResourceState& state() const { return watch_->state(); }

  TimePoint now_ = TimePoint() + std::chrono::hours(100);
  WallTime wall_ = WallTime() + std::chrono::hours(24 * 365 * 50);
  double random_ = 0.5;
  FakeTransport transport_;
  RecordingSink sink_;
  simdjson::dom::parser parser_;
  ListWatch::Shared shared_;
  std::unique_ptr<ListWatch> watch_;
};

TEST_F(KubeListWatch, PagesAListAndWatchesFromItsVersion) {
  Tick();
  EXPECT_EQ(Path(), "/api/v1/pods?limit=500");
  EXPECT_TRUE(transport_.request().compressed);
  AnswerList(7, {ObjectJson("a", 1), ObjectJson("b", 2)}, "x/y==");
  Tick();
  EXPECT_EQ(Path(), "/api/v1/pods?limit=500&continue=x%2Fy%3D%3D");
  EXPECT_THAT(sink_.lines(), IsEmpty());  // nothing of half a list
  AnswerList(7, {ObjectJson("c", 3)});
  EXPECT_THAT(sink_.lines(), ElementsAre("list +a@1 +b@2 +c@3"));
  Tick();
  EXPECT_EQ(Path(), "/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=450");
  transport_.Head(200);
  EXPECT_EQ(state().phase, Phase::kWatching);
  EXPECT_TRUE(state().synced_since);
  EXPECT_EQ(state().requests, 3U);
  EXPECT_EQ(state().lists, 1U);
  EXPECT_EQ(state().objects, 3U);
}

TEST_F(KubeListWatch, SelectorsAreInEveryRequest) {
  ResourceSpec spec = SpecOf(policy::Kind::kPod);
  spec.field_selector = "spec.nodeName=node-1";
  spec.label_selector = "app in (a,b)";
  watch_ = std::make_unique<ListWatch>(spec, shared_);
  const std::string selectors = "?fieldSelector=spec.nodeName%3Dnode-1&labelSelector=app%20in%20%28a%2Cb%29&";
  Tick();
  EXPECT_THAT(Path(), StartsWith("/api/v1/pods" + selectors + "limit="));
  AnswerList(7, {});
  Tick();
  EXPECT_THAT(Path(), StartsWith("/api/v1/pods" + selectors + "watch="));
}

TEST_F(KubeListWatch, AWatchAsksForARandomTimeout) {
  random_ = 0;
  Sync(7, {});
  EXPECT_THAT(Path(), HasSubstr("&timeoutSeconds=300"));
  Send(BookmarkJson(8));
  EndWatch();
  random_ = 0.999;
  Tick();
  EXPECT_THAT(Path(), HasSubstr("&timeoutSeconds=599"));
}

TEST_F(KubeListWatch, EventsOfOneReadAreOneBatch) {
  Sync(7, {ObjectJson("a", 1)});
  EXPECT_TRUE(Send(EventJson("ADDED", ObjectJson("b", 8)) + EventJson("MODIFIED", ObjectJson("a", 9)) +
                   EventJson("DELETED", ObjectJson("b", 10))));
  const std::string half = EventJson("ADDED", ObjectJson("c", 11));
  EXPECT_TRUE(Send(half.substr(0, 20)));
  EXPECT_TRUE(Send(half.substr(20)));
  EXPECT_THAT(sink_.lines(), ElementsAre("list +a@1", "events +b@8 +a@9 -b", "events +c@11"));
  EXPECT_EQ(state().events, 4U);
  EXPECT_EQ(state().resource_version, "11");
  EXPECT_EQ(state().last_event, wall_);
  EXPECT_GT(state().bytes_received, half.size());
}

TEST_F(KubeListWatch, ACleanEndReconnectsAtOnceFromTheLastEvent) {
  Sync(7, {ObjectJson("a", 1)});
  Send(EventJson("MODIFIED", ObjectJson("a", 9)));
  EndWatch();
  EXPECT_EQ(Wait(), milliseconds(0));
  Tick();
  EXPECT_THAT(Path(), HasSubstr("resourceVersion=9&"));
  EXPECT_EQ(state().errors, 0U);
  EXPECT_TRUE(state().synced_since);
}

TEST_F(KubeListWatch, ABookmarkMovesTheVersion) {
  Sync(7, {ObjectJson("a", 1)});
  Send(BookmarkJson(90));
  EndWatch();
  Tick();
  EXPECT_THAT(Path(), HasSubstr("resourceVersion=90&"));
  EXPECT_THAT(sink_.lines(), ElementsAre("list +a@1"));
}

TEST_F(KubeListWatch, AnEventOfAKnownVersionChangesNothing) {
  Sync(7, {ObjectJson("a", 8)});
  Send(EventJson("ADDED", ObjectJson("a", 8)));
  EXPECT_THAT(sink_.lines(), ElementsAre("list +a@8"));
  EXPECT_EQ(sink_.converted(), 1U);
}

TEST_F(KubeListWatch, ExpiredAsStatusCodeListsAtOnce) {
  Sync(7, {ObjectJson("a", 1)});
  EndWatch();
  PassWait();
  Answer(410, StatusJson(410, "Expired"));
  EXPECT_EQ(Wait(), milliseconds(0));
  Tick();
  EXPECT_TRUE(Lists());
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));  // in force meanwhile
}

TEST_F(KubeListWatch, ExpiredAsEventListsAtOnceAndSynthesisesDeletions) {
  Sync(7, {ObjectJson("a", 1), ObjectJson("b", 2), ObjectJson("c", 3)});
  EXPECT_FALSE(Send(EventJson("ERROR", StatusJson(410, "Expired"))));
  GiveUp();
  EXPECT_EQ(Wait(), milliseconds(0));
  Tick();
  ASSERT_TRUE(Lists());
  AnswerList(20, {ObjectJson("b", 15), ObjectJson("c", 3), ObjectJson("d", 16)});
  EXPECT_EQ(sink_.lines().back(), "list -a +b@15 +d@16");
  EXPECT_EQ(sink_.converted(), 5U);  // c is known as it is
}

TEST_F(KubeListWatch, ExpiredAgainAndAgainBacksOff) {
  Sync(7, {ObjectJson("a", 1)});
  Send(EventJson("ERROR", StatusJson(410, "Gone")));
  GiveUp();
  Tick();
  AnswerList(8, {ObjectJson("a", 1)});
  Tick();
  Answer(200, EventJson("ERROR", StatusJson(410, "Gone")));
  EXPECT_EQ(Wait(), milliseconds(400));
  PassWait();
  EXPECT_TRUE(Lists());
}

TEST_F(KubeListWatch, CompactionDuringPagingStartsTheListAnew) {
  Tick();
  AnswerList(7, {ObjectJson("a", 1)}, "next");
  Tick();
  Answer(410, StatusJson(410, "Expired"));
  Tick();
  EXPECT_THAT(Path(), Not(HasSubstr("continue")));
  AnswerList(9, {ObjectJson("b", 8)});
  EXPECT_THAT(sink_.lines(), ElementsAre("list +b@8"));
}

TEST_F(KubeListWatch, APageThatFailsIsAskedForAgain) {
  Tick();
  AnswerList(7, {ObjectJson("a", 1)}, "next");
  Tick();
  Answer(429, StatusJson(429, "TooManyRequests", 1));
  PassWait();
  EXPECT_THAT(Path(), HasSubstr("continue=next"));
  for (int i = 0; i < 2; ++i) {
    Answer(500, "");
    PassWait();
  }
  EXPECT_THAT(Path(), Not(HasSubstr("continue")));  // that page may never come
}

TEST_F(KubeListWatch, AVersionFromTheFutureIsListedAfterWhatTheServerAsksFor) {
  Sync(7, {ObjectJson("a", 1)});
  EndWatch();
  PassWait();
  Answer(504, StatusJson(504, "Timeout", 3));
  EXPECT_EQ(Wait(), seconds(3));
  PassWait();
  EXPECT_TRUE(Lists());
}

TEST_F(KubeListWatch, ThreeEmptyWatchesListAgain) {
  Sync(7, {ObjectJson("a", 1)});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Watches()) << i;
    Pass(seconds(450));
    EndWatch();
    EXPECT_EQ(Wait(), milliseconds(0));
    Tick();
    if (Watches()) transport_.Head(200);
  }
  EXPECT_TRUE(Lists());
  EXPECT_EQ(state().errors, 0U);
}

TEST_F(KubeListWatch, AnEventEndsARowOfEmptyWatches) {
  Sync(7, {ObjectJson("a", 1)});
  for (int i = 0; i < 5; ++i) {
    if (i == 1) Send(BookmarkJson(8));
    if (i == 3) Send(BookmarkJson(9));
    Pass(seconds(450));
    EndWatch();
    Tick();
    ASSERT_TRUE(Watches()) << i;
    transport_.Head(200);
  }
}

TEST_F(KubeListWatch, AWatchThatEndsAtOnceBacksOff) {
  Sync(7, {ObjectJson("a", 1)});
  EndWatch();
  EXPECT_EQ(Wait(), milliseconds(400));
  EXPECT_THAT(state().last_error, HasSubstr("pods: watch: ended at once"));
  PassWait();
  transport_.Head(200);
  EndWatch();
  EXPECT_EQ(Wait(), milliseconds(800));
}

TEST_F(KubeListWatch, AHungWatchIsEndedByTheWatchdog) {
  Sync(7, {ObjectJson("a", 1)});
  EXPECT_EQ(Wait(), seconds(450 + 30));
  Pass(seconds(479));
  EXPECT_EQ(transport_.cancelled(), 0U);
  Pass(seconds(1));
  EXPECT_EQ(transport_.cancelled(), 1U);
  EXPECT_THAT(state().last_error, HasSubstr("did not end in 480 s"));
  PassWait();
  EXPECT_THAT(Path(), HasSubstr("resourceVersion=7&"));
  EXPECT_TRUE(transport_.request().fresh_connection);
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));
}

TEST_F(KubeListWatch, AWatchWithoutAnAnswerIsEndedSooner) {
  Tick();
  AnswerList(7, {});
  Tick();
  EXPECT_EQ(Wait(), seconds(30));
  Pass(seconds(30));
  EXPECT_THAT(state().last_error, HasSubstr("no answer in 30 s"));
  PassWait();
  EXPECT_TRUE(transport_.request().fresh_connection);
}

TEST_F(KubeListWatch, HonoursRetryAfterInSecondsAndAsADate) {
  Tick();
  Answer(429, "", "7");
  EXPECT_EQ(Wait(), seconds(7));
  PassWait();
  const std::time_t in_ten = std::chrono::system_clock::to_time_t(wall_ + seconds(10));
  char date[64];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", std::gmtime(&in_ten));
  Answer(503, "", date);
  EXPECT_GE(Wait(), seconds(10));
  EXPECT_LE(Wait(), seconds(11));
  PassWait();
  Answer(503, "", "100000");
  EXPECT_EQ(Wait(), seconds(120));
}

TEST_F(KubeListWatch, BackoffDoublesUpToThirtySecondsAndIsRandom) {
  const auto fail = [&] {
    Answer(500, "");
    return Wait();
  };
  random_ = 0.999999;
  Tick();
  for (const double limit : {0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0}) {
    EXPECT_NEAR(static_cast<double>(fail().count()), limit * 1000, 1.5);
    PassWait();
  }
  random_ = 0;
  EXPECT_EQ(fail(), milliseconds(0));
  random_ = 0.25;
  Tick();
  EXPECT_EQ(fail(), milliseconds(7500));
}

TEST_F(KubeListWatch, SaysSinceWhenItFailsUntilItWorksAgain) {
  Sync(7, {ObjectJson("a", 1)});
  EXPECT_FALSE(state().failing_since);
  const WallTime away = wall_;
  EndWatch(MakeError(absl::StatusCode::kUnavailable, "connection reset"));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(state().failing_since, away) << i;
    PassWait();
    EndWatch(MakeError(absl::StatusCode::kUnavailable, "connection refused"));
  }
  EXPECT_GT(wall_, away);
  EXPECT_EQ(state().failing_since, away);
  PassWait();
  if (Lists()) {
    AnswerList(7, {ObjectJson("a", 1)});
    Tick();
  }
  transport_.Head(200);
  EXPECT_FALSE(state().failing_since);
  EXPECT_EQ(state().synced_since, wall_);
}

TEST_F(KubeListWatch, AHealthyMinuteResetsTheBackoff) {
  Tick();
  for (int i = 0; i < 4; ++i) {
    Answer(500, "");
    PassWait();
  }
  AnswerList(7, {});
  Tick();
  transport_.Head(200);
  Pass(seconds(59));
  EndWatch(MakeError(absl::StatusCode::kUnavailable, "reset"));
  EXPECT_EQ(Wait(), milliseconds(6400));  // half of 0.8 s * 2^4
  PassWait();
  transport_.Head(200);
  Pass(seconds(60));
  EndWatch(MakeError(absl::StatusCode::kUnavailable, "reset"));
  EXPECT_EQ(Wait(), milliseconds(400));
}

TEST_F(KubeListWatch, ARefusedTokenIsReadAgain) {
  Tick();
  transport_.set_token_changes(true);
  Answer(401, StatusJson(401, "Unauthorized"));
  EXPECT_EQ(transport_.rereads(), 1U);
  EXPECT_EQ(Wait(), milliseconds(0));
  EXPECT_EQ(state().errors, 0U);
  Tick();
  Answer(401, StatusJson(401, "Unauthorized"));  // the new one, too: no loop without a pause
  EXPECT_GT(Wait(), milliseconds(0));
  EXPECT_THAT(state().last_error, HasSubstr("401 Unauthorized"));
}

TEST_F(KubeListWatch, AForbiddenResourceKeepsWhatIsKnown) {
  Sync(7, {ObjectJson("a", 1)});
  EndWatch(MakeError(absl::StatusCode::kUnavailable, "reset"));
  PassWait();
  Answer(403, StatusJson(403, "Forbidden"));
  EXPECT_EQ(state().phase, Phase::kForbidden);
  EXPECT_GT(Wait(), milliseconds(0));
  PassWait();
  EXPECT_TRUE(Lists());
  EXPECT_EQ(state().phase, Phase::kForbidden);
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));
  AnswerList(9, {ObjectJson("a", 1)});
  Tick();
  transport_.Head(200);
  EXPECT_EQ(state().phase, Phase::kWatching);
}

TEST_F(KubeListWatch, AResourceThatIsNotInstalledIsNoError) {
  Tick();
  Answer(404, "404 page not found\n");
  EXPECT_EQ(state().phase, Phase::kAbsent);
  EXPECT_TRUE(state().listed);
  EXPECT_EQ(state().errors, 0U);
  EXPECT_THAT(sink_.lines(), ElementsAre("list absent"));
  PassWait();
  Answer(404, "404 page not found\n");
  EXPECT_THAT(sink_.lines(), ElementsAre("list absent"));  // once
  PassWait();
  EXPECT_EQ(state().phase, Phase::kAbsent);
  Answer(500, "");
  EXPECT_TRUE(state().failing_since);
  PassWait();
  Answer(404, "404 page not found\n");
  EXPECT_FALSE(state().failing_since) << "it was the server's failure, and has passed";
  EXPECT_EQ(state().failures, 0U);
  PassWait();
  AnswerList(7, {ObjectJson("a", 1)});  // installed
  EXPECT_EQ(sink_.lines().back(), "list +a@1");
}

// discovery.k8s.io/v1 is not there before Kubernetes 1.21, and v1beta1 not after 1.24.
TEST_F(KubeListWatch, AServerThatHasOnlyTheOtherVersionIsAskedForThat) {
  watch_ = std::make_unique<ListWatch>(EndpointSlicesSpec(), shared_);
  Tick();
  EXPECT_THAT(transport_.request().path, StartsWith("/apis/discovery.k8s.io/v1/endpointslices?"));
  Answer(404, "404 page not found\n");
  EXPECT_THAT(sink_.lines("endpointslices"), IsEmpty());
  Tick();
  EXPECT_THAT(transport_.request().path, StartsWith("/apis/discovery.k8s.io/v1beta1/endpointslices?"));
  AnswerList(7, {ObjectJson("a", 1), ObjectJson("b", 2)});
  Tick();
  EXPECT_THAT(transport_.request().path, StartsWith("/apis/discovery.k8s.io/v1beta1/endpointslices?watch=true"));
  transport_.Head(200);
  EXPECT_EQ(state().errors, 0U);

  // The server was upgraded.
  EndWatch();
  PassWait();
  Answer(404, "404 page not found\n");  // the watch
  PassWait();
  Answer(404, "404 page not found\n");  // the list
  Tick();
  EXPECT_THAT(transport_.request().path, StartsWith("/apis/discovery.k8s.io/v1/endpointslices?"));
  AnswerList(9, {ObjectJson("a", 1), ObjectJson("b", 2)});
  EXPECT_THAT(sink_.lines("endpointslices"), ElementsAre("list +a@1 +b@2", "list"));
  EXPECT_FALSE(state().distrusted_since);
}

TEST_F(KubeListWatch, AServerThatHasNoVersionIsAskedForBothNowAndThen) {
  watch_ = std::make_unique<ListWatch>(EndpointSlicesSpec(), shared_);
  Tick();
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(transport_.request().path, HasSubstr("/v1/"));
    Answer(404, "404 page not found\n");
    Tick();
    EXPECT_THAT(transport_.request().path, HasSubstr("/v1beta1/"));
    Answer(404, "404 page not found\n");
    EXPECT_EQ(state().phase, Phase::kAbsent);
    EXPECT_THAT(sink_.lines("endpointslices"), ElementsAre("list absent"));
    EXPECT_GT(Wait(), milliseconds(0));
    PassWait();
  }
}

// Answers lists until one is believed. Returns how long that took.
#define ANSWER_UNTIL_BELIEVED(answer, lists, took)                 \
  do {                                                             \
    const TimePoint sl_begin = now_;                               \
    (lists) = 0;                                                   \
    while (Lists() && (lists) < 100) {                             \
      answer;                                                      \
      ++(lists);                                                   \
      if (!state().distrusted_since) break;                        \
      PassWait();                                                  \
    }                                                              \
    (took) = std::chrono::duration_cast<seconds>(now_ - sl_begin); \
  } while (false)

TEST_F(KubeListWatch, AnEmptyListAfterARestoreIsNotBelievedAtOnce) {
  Sync(7, {ObjectJson("a", 1), ObjectJson("b", 2)});
  Send(EventJson("ERROR", StatusJson(410, "Expired")));
  GiveUp();
  Tick();
  AnswerList(9, {});
  EXPECT_TRUE(state().distrusted_since);
  EXPECT_THAT(state().distrust_reason, HasSubstr("the list is empty (0 objects as of 9), and 2 objects as of 7"));
  EXPECT_EQ(sink_.objects().size(), 2U);
  PassWait();
  int lists = 0;
  seconds took(0);
  ANSWER_UNTIL_BELIEVED(AnswerList(9, {}), lists, took);
  EXPECT_GE(took, seconds(29));  // the first list was before
  EXPECT_LT(took, seconds(90));
  EXPECT_GE(lists, 2);
  EXPECT_EQ(sink_.lines().back(), "list -a -b");
  EXPECT_EQ(state().distrust_reason, "");
}

TEST_F(KubeListWatch, AVersionThatWentBackIsNotBelievedAtOnce) {
  Sync(700, {ObjectJson("a", 1), ObjectJson("b", 2)});
  Send(EventJson("ERROR", StatusJson(410, "Expired")));
  GiveUp();
  Tick();
  int lists = 0;
  seconds took(0);
  ANSWER_UNTIL_BELIEVED(AnswerList(90 + lists, {ObjectJson("a", 1)}), lists, took);
  EXPECT_GE(took, seconds(30));
  EXPECT_GE(lists, 3);
  EXPECT_EQ(sink_.lines().back(), "list -b");
  Tick();
  EXPECT_THAT(Path(), HasSubstr(fmt::format("resourceVersion={}&", 90 + lists - 1)));
}

TEST_F(KubeListWatch, AServerThatComesBackEndsTheDistrust) {
  Sync(700, {ObjectJson("a", 1), ObjectJson("b", 2)});
  Send(EventJson("ERROR", StatusJson(410, "Expired")));
  GiveUp();
  Tick();
  for (int i = 0; i < 4; ++i) {  // empty, older, empty, older: never the same three times
    Answer(200, i % 2 == 0 ? ListJson(800, {}) : ListJson(90, {ObjectJson("a", 1)}));
    ASSERT_TRUE(state().distrusted_since) << i;
    Pass(seconds(31));
  }
  AnswerList(801, {ObjectJson("a", 1), ObjectJson("c", 750)});
  EXPECT_FALSE(state().distrusted_since);
  EXPECT_THAT(sink_.lines(), ElementsAre("list +a@1 +b@2", "list -b +c@750"));
}

TEST_F(KubeListWatch, AResourceThatVanishesIsNotBelievedAtOnce) {
  Sync(7, {ObjectJson("a", 1)});
  Send(EventJson("ERROR", StatusJson(410, "Expired")));
  GiveUp();
  Tick();
  int lists = 0;
  seconds took(0);
  ANSWER_UNTIL_BELIEVED(Answer(404, ""), lists, took);
  EXPECT_GE(took, seconds(30));
  EXPECT_EQ(state().phase, Phase::kAbsent);
  EXPECT_EQ(sink_.lines().back(), "list absent -a");
}

TEST_F(KubeListWatch, TheLastObjectAndDeletionsOfAWatchAreBelieved) {
  Sync(7, {ObjectJson("a", 1)});
  Send(EventJson("ERROR", StatusJson(410, "Expired")));
  GiveUp();
  Tick();
  AnswerList(9, {});
  EXPECT_EQ(sink_.lines().back(), "list -a");
  Tick();
  transport_.Head(200);
  Send(EventJson("ADDED", ObjectJson("b", 10)) + EventJson("ADDED", ObjectJson("c", 11)));
  Send(EventJson("DELETED", ObjectJson("b", 12)) + EventJson("DELETED", ObjectJson("c", 13)));
  EXPECT_THAT(sink_.objects(), IsEmpty());
  EXPECT_FALSE(state().distrusted_since);
}

TEST_F(KubeListWatch, AWatchWhoseVersionGoesBackListsAgain) {
  Sync(700, {ObjectJson("a", 1)});
  EXPECT_FALSE(Send(EventJson("MODIFIED", ObjectJson("a", 20))));
  GiveUp();
  EXPECT_THAT(state().last_error, HasSubstr("went back from 700 to 20"));
  PassWait();
  EXPECT_TRUE(Lists());
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));
}

TEST_F(KubeListWatch, AnotherObjectOfTheSameNameReplacesTheFirst) {
  Sync(7, {ObjectJson("a", 1, "first")});
  Send(EventJson("ADDED", ObjectJson("a", 8, "second")));
  EXPECT_EQ(sink_.lines().back(), "events -a +a@8");
  Send(EventJson("DELETED", ObjectJson("a", 9, "first")));  // late, of the other one
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@8")));
  Send(EventJson("ERROR", StatusJson(410, "Expired")));
  GiveUp();
  Tick();
  AnswerList(20, {ObjectJson("a", 15, "third"), ObjectJson("b", 16)});
  EXPECT_EQ(sink_.lines().back(), "list -a +a@15 +b@16");
}

TEST_F(KubeListWatch, ARefusedObjectLeavesTheRestAndItsFormerVersion) {
  Sync(7, {ObjectJson("a", 1), ObjectJson("b", 2, "bad")});
  EXPECT_THAT(sink_.lines(), ElementsAre("list +a@1 !shop/b is bad"));
  EXPECT_EQ(state().refused_objects, 1U);
  Send(EventJson("MODIFIED", ObjectJson("b", 8, "bad")));
  EXPECT_EQ(state().refused_objects, 1U);
  Send(EventJson("DELETED", ObjectJson("b", 9, "bad")));
  EXPECT_EQ(sink_.lines().back(), "events -b");
  EXPECT_EQ(state().refused_objects, 0U);
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));
}

TEST_F(KubeListWatch, BadListsKeepWhatIsKnown) {
  Sync(7, {ObjectJson("a", 1)});
  Send(EventJson("ERROR", StatusJson(410, "Expired")));
  GiveUp();
  const std::string good = ListJson(9, {ObjectJson("b", 8)});
  const std::vector<std::pair<std::string, std::string>> bad = {
      {good.substr(0, good.size() / 2), "not JSON"},
      {"", "not JSON"},
      {"<html>", "not JSON"},
      {"[]", "not a list"},
      {R"({"metadata":{"resourceVersion":"9"},"items":{}})", "items are no array"},
      {R"({"metadata":{},"items":[]})", "without a resourceVersion"},
      {R"({"metadata":{"resourceVersion":"9"},"items":[{}]})", "without metadata"},
      {R"({"metadata":{"resourceVersion":"9"},"items":[{"metadata":{}}]})", "without metadata.name"},
  };
  for (const auto& [body, error] : bad) {
    PassWait();
    Answer(200, body);
    EXPECT_THAT(state().last_error, HasSubstr("pods: list: ")) << body;
    EXPECT_THAT(state().last_error, HasSubstr(error)) << body;
    EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));
    EXPECT_FALSE(state().synced_since);
  }
  PassWait();
  transport_.Head(200, "text/html");
  EXPECT_FALSE(transport_.Body(good));
  GiveUp();
  EXPECT_THAT(state().last_error, HasSubstr("content type text/html and not application/json"));
  PassWait();
  AnswerList(9, {ObjectJson("b", 8)});
  EXPECT_EQ(sink_.lines().back(), "list -a +b@8");
}

TEST_F(KubeListWatch, BadEventsKeepWhatIsKnown) {
  Sync(7, {ObjectJson("a", 1)});
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"{\"type\":\"ADDED\",\n", "not JSON"},
      {"garbage\n", "not JSON"},
      {EventJson("EXPLODED", ObjectJson("a", 8)), "unknown type EXPLODED"},
      {EventJson("ADDED", "7"), "without an object"},
      {EventJson("ADDED", "{}"), "without metadata"},
      {EventJson("ADDED", R"({"metadata":{"name":"a"}})"), "without a resourceVersion"},
      {EventJson("ERROR", StatusJson(500, "InternalError")), "500 InternalError: told so"},
  };
  for (const auto& [line, error] : bad) {
    EXPECT_FALSE(Send(line)) << line;
    GiveUp();
    EXPECT_THAT(state().last_error, HasSubstr(error)) << line;
    EXPECT_GT(Wait(), milliseconds(0));
    PassWait();
    if (Lists()) {
      AnswerList(7, {ObjectJson("a", 1)});
      Tick();
    }
    transport_.Head(200);
  }
  Send(EventJson("MODIFIED", ObjectJson("a", 8)).substr(0, 30));
  EndWatch();
  EXPECT_THAT(state().last_error, HasSubstr("ended within a line"));
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));
}

TEST_F(KubeListWatch, ATooLongLineIsGivenUp) {
  shared_.options.limits.object_bytes = 1000;
  Make();
  Sync(7, {ObjectJson("a", 1)});
  EXPECT_TRUE(Send(R"({"type":"ADDED","object":{"x":")"));
  bool takes = true;
  for (int i = 0; i < 10 && takes; ++i) takes = Send(std::string(200, 'x'));
  EXPECT_FALSE(takes);
  GiveUp();
  EXPECT_THAT(state().last_error, HasSubstr("an event of more than 1000 bytes"));
  EXPECT_THAT(sink_.objects(), ElementsAre(Pair("a", "a@1")));
}

TEST_F(KubeListWatch, ATooLargePageIsAskedForInSmallerPages) {
  shared_.options.limits.page_bytes = 1000;
  shared_.options.limits.object_bytes = 500;
  Make();
  Tick();
  for (const char* limit : {"limit=500", "limit=125", "limit=31", "limit=7", "limit=1"}) {
    EXPECT_THAT(Path(), HasSubstr(limit));
    transport_.Head(200);
    EXPECT_FALSE(transport_.Body(std::string(1001, ' ')));
    GiveUp();
    EXPECT_THAT(state().last_error, HasSubstr("a page of "));
    PassWait();
  }
  transport_.Head(200);
  EXPECT_FALSE(transport_.Body(std::string(501, ' ')));  // that of one object has the bound of an object
  GiveUp();
  PassWait();
  AnswerList(7, {ObjectJson("a", 1)});
  EXPECT_EQ(sink_.lines().back(), "list +a@1");
}

TEST_F(KubeListWatch, TooManyObjectsAreRefused) {
  shared_.options.limits.objects = 2;
  Make();
  Tick();
  AnswerList(7, {ObjectJson("a", 1), ObjectJson("b", 2), ObjectJson("c", 3)});
  EXPECT_THAT(state().last_error, HasSubstr("more than 2 objects"));
  EXPECT_THAT(sink_.lines(), IsEmpty());
}

// A server with a life of its own, and everything that can go wrong, at random: in the end the sink has what the server
// has, and at each step only objects that the server once had.
TEST_F(KubeListWatch, EndsWithTheServersObjectsWhateverHappens) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](unsigned below) { return static_cast<int>(random() % below); };
    RecordingSink sink;
    shared_.sink = &sink;
    Make();
    int version = 100;
    std::map<std::string, int> server = {{"a", 1}, {"b", 2}, {"c", 3}};
    std::deque<std::string> events;  // that the running watch has not sent
    const auto change = [&] {
      const std::string name(1, static_cast<char>('a' + pick(8)));
      ++version;
      if (server.contains(name) && server.size() > 2 && pick(3) == 0) {
        events.push_back(EventJson("DELETED", ObjectJson(name, version)));
        server.erase(name);
      } else {
        events.push_back(EventJson(server.contains(name) ? "MODIFIED" : "ADDED", ObjectJson(name, version)));
        server[name] = version;
      }
    };
    const auto list = [&] {
      std::vector<std::string> objects;
      for (const auto& [name, at] : server) objects.push_back(ObjectJson(name, at));
      return ListJson(version, objects);
    };
    // `bad`: something may go wrong.
    const auto step = [&](bool bad) {
      if (transport_.idle()) return PassWait();
      if (Lists()) {
        const int what = bad ? pick(8) : 7;
        events.clear();
        if (what == 0) return Answer(500, "");
        if (what == 1) return Answer(410, StatusJson(410, "Expired"));
        if (what == 2) return Answer(200, list().substr(0, 50));
        if (what == 3) return Answer(403, "");
        return Answer(200, list());
      }
      if (!transport_.answered()) transport_.Head(200);
      const int what = bad ? pick(6) : 5;
      if (what == 0) {
        if (Send(EventJson("ERROR", StatusJson(410, "Expired")))) ADD_FAILURE();
        return GiveUp();
      }
      if (what == 1) return EndWatch(MakeError(absl::StatusCode::kUnavailable, "reset"));
      if (what == 2) {
        if (!events.empty()) Send(events.front().substr(0, 25));
        return EndWatch();
      }
      while (!events.empty()) {
        ASSERT_TRUE(Send(events.front()));
        events.pop_front();
      }
      if (what == 3) EndWatch();
    };
    for (int i = 0; i < 100; ++i) {
      if (pick(2) == 0) change();
      step(true);
    }
    change();
    for (int i = 0; i < 20; ++i) step(false);
    std::map<std::string, std::string> wanted;
    for (const auto& [name, at] : server) wanted[name] = fmt::format("{}@{}", name, at);
    ASSERT_EQ(sink.objects(), wanted) << "seed " << seed;
    watch_.reset();
    shared_.sink = &sink_;
  }
}

}  // namespace
}  // namespace sluice::kube
