#include "ctrl/api/unknown_names.h"

#include <gmock/gmock.h>

#include "tests/unit/api/world.h"

namespace sluice::api {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(UnknownNames, WorkloadsPodsAndNamespacesAreKnown) {
  const auto view = MakeView();
  EXPECT_THAT(TellUnknownNames(view, {}), IsEmpty());
  EXPECT_THAT(TellUnknownNames(view, {{"shop", "web-0"}, {"shop", "db-0"}, {"ops", "job"}, {"shop", ""}}), IsEmpty());
}

TEST(UnknownNames, TheNearestIsSuggested) {
  const auto view = MakeView();
  EXPECT_THAT(TellUnknownNames(view, {{"shop", "wed-0"}, {"shpo", ""}, {"far", "away"}}),
              ElementsAre("workload shop/wed-0: the agent knows none of this name now; did you mean shop/web-0?",
                          "namespace shpo: the agent knows none of this name; did you mean shop?",
                          "workload far/away: the agent knows none of this name now"));
}

TEST(UnknownNames, ManyAreCut) {
  const auto lines = TellUnknownNames(MakeView(), std::vector<policy::ObjectName>(9, {"no", "such"}));
  ASSERT_THAT(lines, SizeIs(6));
  EXPECT_EQ(lines.back(), "4 more names are not known");
}

}  // namespace
}  // namespace sluice::api
