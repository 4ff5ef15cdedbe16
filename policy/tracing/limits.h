// How much one policy may ask for: every limit of the parser, in one place. None is below Tetragon's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::policy::tracing {

inline constexpr std::size_t kMaxHooks = 512;            // of a policy
inline constexpr std::size_t kMaxSelectors = 5;          // of a hook
inline constexpr std::size_t kMaxArguments = 5;          // of a hook: args and data together
inline constexpr std::size_t kMaxArgumentFilters = 5;    // of a selector: matchArgs and matchData together
inline constexpr std::size_t kMaxReturnFilters = 5;      // of a selector: matchReturnArgs
inline constexpr std::size_t kMaxActions = 3;            // of a selector: matchActions; matchReturnActions likewise
inline constexpr std::size_t kMaxNumbers = 4;            // values of a filter on numbers; InMap has kMaxSetValues
inline constexpr std::size_t kMaxSetValues = 4096;       // values of InMap and NotInMap
inline constexpr std::size_t kMaxRanges = 64;            // values of ports, protocols, families and states
inline constexpr std::size_t kMaxAddresses = 1024;       // values of SAddr, DAddr and their negations
inline constexpr std::size_t kMaxTexts = 1024;           // values of a filter on strings or paths
inline constexpr std::size_t kMaxTextBytes = 4095;       // of an Equal or NotEqual value: a path without its NUL
inline constexpr std::size_t kMaxPrefixBytes = 256;      // of a Prefix or NotPrefix value
inline constexpr std::size_t kMaxPostfixBytes = 127;     // of a Postfix or NotPostfix value
inline constexpr std::size_t kMaxSubStringBytes = 99;    // of a SubString or SubStringIgnCase value
inline constexpr std::size_t kMaxPidFilters = 4;         // of a selector
inline constexpr std::size_t kMaxPids = 4;               // of a filter
inline constexpr std::size_t kMaxBinaryFilters = 1;      // of a selector; the same for parents
inline constexpr std::size_t kMaxBinaries = 1024;        // of a filter
inline constexpr std::size_t kMaxNamespaceFilters = 10;  // of a selector
inline constexpr std::size_t kMaxNamespaces = 4;         // of a filter
inline constexpr std::size_t kMaxNamespaceChanges = 1;   // filters of a selector
inline constexpr std::size_t kMaxCapabilityFilters = 3;  // of a selector: one for each set
inline constexpr std::size_t kMaxWorkloadFilters = 8;    // of a selector
inline constexpr std::size_t kMaxMacros = 16;            // that a selector may name
inline constexpr std::size_t kMaxTags = 16;              // of a hook
inline constexpr std::size_t kMaxMessageBytes = 256;     // of a hook's message
inline constexpr std::size_t kMaxLabelBytes = 256;       // of an argument's or a selector's label
inline constexpr std::size_t kMaxSymbols = 1024;         // of a uprobe: symbols, offsets or addrs
inline constexpr std::size_t kMaxRegisters = 8;          // of an Override's argRegs
inline constexpr std::size_t kMaxResolveDepth = 10;      // fields of `resolve`
inline constexpr std::size_t kMaxLists = 64;             // of a policy
inline constexpr std::size_t kMaxListValues = 4096;      // of a list
inline constexpr std::size_t kMaxNameBytes = 255;        // of a function, symbol, list or field of a structure
inline constexpr std::int64_t kMaxRateLimitSeconds = 4'294'967;  // 2^32 ms, as in Tetragon
inline constexpr int kMaxErrno = 4095;                           // the kernel's MAX_ERRNO
inline constexpr int kMaxSignal = 64;                            // SIGRTMAX

}  // namespace sluice::policy::tracing
