/* Exact decimals against a wide computation: the tables were made with Python's decimal and fractions. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kpid/decimal.h"

struct wide {
    bool negative;
    uint64_t high, low;
};

static kpid_i128 wide_value(struct wide w)
{
    kpid_i128 m = (kpid_i128)(((kpid_u128)w.high << 64) | w.low);
    return w.negative ? -m : m;
}

static const struct {
    const char *text;
    uint8_t scale;
    bool round;
    enum kpid_decimal_status status;
    bool negative;
    uint64_t high, low;
} parse_cases[] = {
    { "0", 0, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x0ULL },
    { "0", 0, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x0ULL },
    { "-0", 6, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x0ULL },
    { "-0", 6, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x0ULL },
    { "1", 0, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "1", 0, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "+1", 2, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x64ULL },
    { "+1", 2, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x64ULL },
    { "007.50", 1, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x4bULL },
    { "007.50", 1, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x4bULL },
    { "12.34", 2, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x4d2ULL },
    { "12.34", 2, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x4d2ULL },
    { "12.345", 2, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "12.345", 2, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x4d2ULL },
    { "12.335", 2, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "12.335", 2, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x4d2ULL },
    { "-12.345", 2, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "-12.345", 2, true, KPID_DECIMAL_ROUNDED, true, 0x0ULL, 0x4d2ULL },
    { "-12.355", 2, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "-12.355", 2, true, KPID_DECIMAL_ROUNDED, true, 0x0ULL, 0x4d4ULL },
    { "1e3", 0, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x3e8ULL },
    { "1e3", 0, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x3e8ULL },
    { "1E-3", 3, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "1E-3", 3, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "1e-3", 2, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "1e-3", 2, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x0ULL },
    { "5e-1", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "5e-1", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x0ULL },
    { "15e-1", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "15e-1", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x2ULL },
    { "25e-1", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "25e-1", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x2ULL },
    { "170141183460469231731687303715884105727", 0, false, KPID_DECIMAL_OK, false, 0x7fffffffffffffffULL, 0xffffffffffffffffULL },
    { "170141183460469231731687303715884105727", 0, true, KPID_DECIMAL_OK, false, 0x7fffffffffffffffULL, 0xffffffffffffffffULL },
    { "-170141183460469231731687303715884105727", 0, false, KPID_DECIMAL_OK, true, 0x7fffffffffffffffULL, 0xffffffffffffffffULL },
    { "-170141183460469231731687303715884105727", 0, true, KPID_DECIMAL_OK, true, 0x7fffffffffffffffULL, 0xffffffffffffffffULL },
    { "170141183460469231731687303715884105728", 0, false, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "170141183460469231731687303715884105728", 0, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "-170141183460469231731687303715884105728", 0, false, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "-170141183460469231731687303715884105728", 0, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "170141183460469231731687303715884105727.5", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "170141183460469231731687303715884105727.5", 0, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "170141183460469231731687303715884105726.5", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "170141183460469231731687303715884105726.5", 0, true, KPID_DECIMAL_ROUNDED, false, 0x7fffffffffffffffULL, 0xfffffffffffffffeULL },
    { "17014118346046923173168730371588410572.7", 1, false, KPID_DECIMAL_OK, false, 0x7fffffffffffffffULL, 0xffffffffffffffffULL },
    { "17014118346046923173168730371588410572.7", 1, true, KPID_DECIMAL_OK, false, 0x7fffffffffffffffULL, 0xffffffffffffffffULL },
    { "1e38", 0, false, KPID_DECIMAL_OK, false, 0x4b3b4ca85a86c47aULL, 0x98a224000000000ULL },
    { "1e38", 0, true, KPID_DECIMAL_OK, false, 0x4b3b4ca85a86c47aULL, 0x98a224000000000ULL },
    { "1e39", 0, false, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "1e39", 0, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "1e20", 18, false, KPID_DECIMAL_OK, false, 0x4b3b4ca85a86c47aULL, 0x98a224000000000ULL },
    { "1e20", 18, true, KPID_DECIMAL_OK, false, 0x4b3b4ca85a86c47aULL, 0x98a224000000000ULL },
    { "1e21", 18, false, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "1e21", 18, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "1.0000000000000000000000000000000000000000000000", 0, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "1.0000000000000000000000000000000000000000000000", 0, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "0.50000000000000000000000000000000000000000000001", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "0.50000000000000000000000000000000000000000000001", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x1ULL },
    { "1.50000000000000000000000000000000000000000000000", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "1.50000000000000000000000000000000000000000000000", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x2ULL },
    { "0.05e1", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "0.05e1", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x0ULL },
    { "0.04e1", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "0.04e1", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x0ULL },
    { "999999999999999999", 18, false, KPID_DECIMAL_OK, false, 0xc097ce7bc90715ULL, 0xa56ae85c589c0000ULL },
    { "999999999999999999", 18, true, KPID_DECIMAL_OK, false, 0xc097ce7bc90715ULL, 0xa56ae85c589c0000ULL },
    { "0.000000000000000001", 18, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "0.000000000000000001", 18, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x1ULL },
    { "0.0000000000000000005", 18, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "0.0000000000000000005", 18, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x0ULL },
    { "0.0000000000000000015", 18, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "0.0000000000000000015", 18, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x2ULL },
    { "123456789012345678901234567890.123456", 6, false, KPID_DECIMAL_OK, false, 0x17c6e3bfd70fdeULL, 0xeaec417172dcbac0ULL },
    { "123456789012345678901234567890.123456", 6, true, KPID_DECIMAL_OK, false, 0x17c6e3bfd70fdeULL, 0xeaec417172dcbac0ULL },
    { "87595099918.81590830166131", 1, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "9551", 12, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x21ee957a3ff000ULL },
    { "74714297e-1", 18, true, KPID_DECIMAL_OK, false, 0x62e23ULL, 0x3ff62e610ba0000ULL },
    { "7031675100806383654215.190937865797e11", 7, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "-8053654215.91186E7", 13, true, KPID_DECIMAL_OK, true, 0xa2a46a9aaULL, 0xb182cb7e5a350000ULL },
    { "9381910178441606810235.11471049", 14, true, KPID_DECIMAL_OK, false, 0xb4b063732014d3ULL, 0x597f5f065109c440ULL },
    { "-6251160381842.70E11", 7, true, KPID_DECIMAL_OK, true, 0x4ee696ac7fULL, 0x7562d46509ce0000ULL },
    { "8091839359286042.26846", 12, false, KPID_DECIMAL_OK, false, 0x1a2569a2ULL, 0xa317cdb950ea2300ULL },
    { "23097.30792440268E11", 16, false, KPID_DECIMAL_OK, false, 0x123876d5136ULL, 0x33bfacc9cecc0000ULL },
    { "660354203788781431679.6176031", 14, true, KPID_DECIMAL_OK, false, 0xcb7cc2f173275ULL, 0xc1cfbdb7e6bc7980ULL },
    { "439717024.159013962", 11, false, KPID_DECIMAL_OK, false, 0x2ULL, 0x623ade600cfd0ce8ULL },
    { "8394522074717091.12154", 5, false, KPID_DECIMAL_OK, false, 0x2dULL, 0x81bd57164cbbc75aULL },
    { "-2459582.8e-4", 16, true, KPID_DECIMAL_OK, true, 0x0ULL, 0x2222318671a92000ULL },
    { "-809435.853933633", 11, false, KPID_DECIMAL_OK, true, 0x0ULL, 0x11f91c31637c964ULL },
    { "-7.957551313735e+10", 11, false, KPID_DECIMAL_OK, true, 0x1afULL, 0x613566ed9dac0600ULL },
    { "931.372651676122", 0, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x3a3ULL },
    { "930567420908015.52882001", 4, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x81246563bbbc9c98ULL },
    { "469656.83954", 4, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x117eff24bULL },
    { "-800873845538530826120698.682828807", 0, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "18554.180588871803e8", 14, false, KPID_DECIMAL_OK, false, 0x997a01ULL, 0x739a322522368c00ULL },
    { "9829171456542404448199092.83848372", 12, true, KPID_DECIMAL_OK, false, 0x76507917c077b39ULL, 0xe16ae68cdca57740ULL },
    { "438.41252427316", 5, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "94801142.656355150E+11", 0, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x839021b261516a78ULL },
    { "-16263392158637207", 3, true, KPID_DECIMAL_OK, true, 0x0ULL, 0xe1b32d004a71add8ULL },
    { "972701309.26462", 16, false, KPID_DECIMAL_OK, false, 0x80bc6ULL, 0x6fb41d9fc23e3000ULL },
    { "-8693564249593348554435.614", 2, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "68.70E+9", 4, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x270d2a6f5f000ULL },
    { "7604889673841406949980.48347", 5, true, KPID_DECIMAL_OK, false, 0x2750fcdULL, 0x878a8130e8dd5e5bULL },
    { "-0.883873716786", 9, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "-26658926", 4, true, KPID_DECIMAL_OK, true, 0x0ULL, 0x3e11f548e0ULL },
    { "145328758319.46201684934e4", 14, true, KPID_DECIMAL_OK, false, 0x1d595219eULL, 0xbaa4ce94dc83e700ULL },
    { "-354536980531.35205E+8", 6, true, KPID_DECIMAL_OK, true, 0x1d539cULL, 0xd2956fa655dfb200ULL },
    { "7727657340969692086015009.0443198", 4, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "-22587930956576977269912.2086828890", 18, false, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "6309361283555727544831.167800", 7, true, KPID_DECIMAL_OK, false, 0xcbddd035ULL, 0x5043316519560430ULL },
    { "-1.818174143", 6, true, KPID_DECIMAL_ROUNDED, true, 0x0ULL, 0x1bbe3eULL },
    { "-458319156408518667615.40931925449", 0, true, KPID_DECIMAL_ROUNDED, true, 0x18ULL, 0xd874bc797e736d5fULL },
    { "-5239604505959703.77718e+0", 9, true, KPID_DECIMAL_OK, true, 0x45587ULL, 0x8787d3e96a9cf960ULL },
    { "-38717592549236327.1912", 8, false, KPID_DECIMAL_OK, true, 0x333e0ULL, 0x7d61fd581bef4680ULL },
    { "-14768.7760E-7", 12, true, KPID_DECIMAL_OK, true, 0x0ULL, 0x58075d20ULL },
    { "-45083.50E+1", 6, false, KPID_DECIMAL_OK, true, 0x0ULL, 0x68f7dc2ac0ULL },
    { "-78553102549928383775750.91564041042346", 6, false, KPID_DECIMAL_TOO_FINE, false, 0x0ULL, 0x0ULL },
    { "56301140992807", 17, true, KPID_DECIMAL_OK, false, 0x470fe13ab9ULL, 0x11f86b969e060000ULL },
    { "955.92470822", 10, true, KPID_DECIMAL_OK, false, 0x0ULL, 0x8b1af86d2d8ULL },
    { "-436163878.78612", 2, true, KPID_DECIMAL_ROUNDED, true, 0x0ULL, 0xa27bd4327ULL },
    { "8105766189666639.331258153e11", 13, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "408858620695013681153842.49528831e+6", 14, true, KPID_DECIMAL_OVERFLOW, false, 0x0ULL, 0x0ULL },
    { "546521802.7970168773132e-11", 14, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x7f3f3ce82dULL },
    { "2430465196294104747181658.4", 8, false, KPID_DECIMAL_OK, false, 0xbfbada8fc66ULL, 0x61b9729c07997400ULL },
    { "9900326729393.3643900847E-3", 15, false, KPID_DECIMAL_OK, false, 0x83079ULL, 0xc9941c2afed7805cULL },
    { "812410357345444822.0E4", 7, false, KPID_DECIMAL_OK, false, 0x10681027bULL, 0xeb147bce6f1df000ULL },
    { "36476914390.656304813734", 6, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x81978f74c1e531ULL },
    { "-39585217.7923760926e-2", 13, true, KPID_DECIMAL_OK, true, 0x0ULL, 0x36ef7e95c71adf2cULL },
    { "50.511253287046", 10, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x759b0d9786ULL },
    { "1281.618365", 9, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x12a66684a48ULL },
    { "99252610801903.873557E12", 12, true, KPID_DECIMAL_OK, false, 0x4aab5b86719e18f3ULL, 0xd7b83ea0b3340000ULL },
    { "-8e-1", 10, true, KPID_DECIMAL_OK, true, 0x0ULL, 0x1dcd65000ULL },
    { "99910270015.440910", 3, true, KPID_DECIMAL_ROUNDED, false, 0x0ULL, 0x5ade2c2757d1ULL },
    { "-282655189910040", 4, false, KPID_DECIMAL_OK, true, 0x0ULL, 0x2739edf9fd15c980ULL },
    { "841553e-3", 10, false, KPID_DECIMAL_OK, false, 0x0ULL, 0x7a764ad1e80ULL },
};

static const struct {
    struct wide a;
    uint8_t scale_a;
    struct wide b;
    uint8_t scale_b, scale;
    bool fits;
    struct wide quotient;
    int compare;
} divide_cases[] = {
    { { false, 0x7fffffffffffffffULL, 0xfffffffffffffff6ULL }, 5, { false, 0x7fffffffffffffffULL, 0xfffffffffffffffaULL }, 3, 18, true, { false, 0x0ULL, 0x2386f26fc10000ULL }, -1 },
    { { true, 0x0ULL, 0xcad57aefb710734ULL }, 16, { false, 0x0ULL, 0x50a32ULL }, 2, 0, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { false, 0x0ULL, 0xfULL }, 14, { true, 0x0ULL, 0xed88eULL }, 18, 2, true, { true, 0x0ULL, 0xfULL }, 1 },
    { { false, 0x9687537ff12229ULL, 0x4b4d8474a3ea284dULL }, 13, { true, 0x0ULL, 0xea273ULL }, 17, 0, true, { true, 0x191ca438259eaULL, 0x6833708cad1bd31fULL }, 1 },
    { { true, 0x0ULL, 0x7596c4cc20ba2c2ULL }, 12, { false, 0x0ULL, 0x23f4558079dd25bULL }, 3, 9, true, { true, 0x0ULL, 0x3ULL }, -1 },
    { { true, 0xc78511608ULL, 0xd650372e90794dfULL }, 18, { false, 0x0ULL, 0x7ULL }, 6, 9, true, { true, 0x74bf61ULL, 0xa598eb6928c61bc7ULL }, -1 },
    { { false, 0x0ULL, 0xaa48a9e4fab6f3eULL }, 4, { false, 0x0ULL, 0x7ULL }, 7, 0, true, { false, 0x5ULL, 0xf064360ebe8613beULL }, 1 },
    { { true, 0x0ULL, 0x1dULL }, 16, { false, 0x0ULL, 0x10ULL }, 6, 2, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { false, 0xe286852cULL, 0xff769e374ddc74c8ULL }, 4, { false, 0x393b3a3d9ULL, 0xa44f576a9a1de24fULL }, 6, 18, true, { false, 0x1ULL, 0x574eb653c48f0726ULL }, 1 },
    { { false, 0x0ULL, 0xc5b811a4bdbf090ULL }, 6, { false, 0x0ULL, 0x2ULL }, 18, 2, true, { false, 0x231f38534b2ULL, 0xaff238c050620000ULL }, 1 },
    { { true, 0x0ULL, 0x17ULL }, 9, { false, 0x1766e60562d74145ULL, 0xddd4a05422bfb8e1ULL }, 7, 2, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { false, 0x7fffffffffffffffULL, 0xffffffffffffffffULL }, 3, { false, 0x7fffffffffffffffULL, 0xfffffffffffffffcULL }, 3, 0, true, { false, 0x0ULL, 0x1ULL }, 1 },
    { { true, 0x32204eedb45f51c3ULL, 0xbd65693b3d0840fbULL }, 2, { false, 0x0ULL, 0x963d2877db224ccULL }, 4, 2, true, { true, 0xd086ULL, 0xee3813ba476fd17fULL }, -1 },
    { { false, 0xbfbd7d14ULL, 0x3437f5abea3a0683ULL }, 1, { false, 0x1fe154847219c1daULL, 0x6953404844e9e4a6ULL }, 5, 9, true, { false, 0x0ULL, 0x36b3ULL }, -1 },
    { { true, 0x0ULL, 0x2f33ce521af214aULL }, 15, { false, 0x0ULL, 0x2ULL }, 11, 9, true, { true, 0x240ULL, 0x33659042ed15c520ULL }, -1 },
    { { true, 0x0ULL, 0x4ULL }, 10, { true, 0x0ULL, 0x2ULL }, 4, 0, true, { false, 0x0ULL, 0x0ULL }, 1 },
    { { false, 0x0ULL, 0x17ULL }, 2, { true, 0x25a11cca5ULL, 0x57740511ea3d9be8ULL }, 13, 0, true, { false, 0x0ULL, 0x0ULL }, 1 },
    { { true, 0xca98a372eULL, 0x9ffd6a1803b86766ULL }, 2, { false, 0x93f755f9bdeb398ULL, 0x32fbce3952a71b3ULL }, 3, 9, true, { true, 0x0ULL, 0x330ULL }, -1 },
    { { false, 0xe70c61508ULL, 0x752f7bd994b953edULL }, 2, { true, 0x0ULL, 0xf409cc83b852d8ULL }, 15, 0, true, { true, 0x89c5f7ULL, 0xb931efa9ae6115e5ULL }, 1 },
    { { true, 0x0ULL, 0xfe97aULL }, 11, { false, 0x0ULL, 0x5ULL }, 9, 2, true, { true, 0x0ULL, 0x32eb2ULL }, -1 },
    { { true, 0x38913e59ee283c1eULL, 0xa8f51ac557afaba6ULL }, 12, { true, 0x0ULL, 0x7ba3dULL }, 8, 2, true, { false, 0x12bd69f3bcULL, 0xdeff1dba88102d4cULL }, -1 },
    { { true, 0x762694354ULL, 0x36d51bffe1594dc4ULL }, 15, { false, 0x0ULL, 0x4ULL }, 11, 0, true, { true, 0xc193fULL, 0xeb3d619eb1c40092ULL }, -1 },
    { { false, 0x7fffffffffffffffULL, 0xfffffffffffffff9ULL }, 12, { false, 0x7fffffffffffffffULL, 0xfffffffffffffffeULL }, 16, 18, true, { false, 0x21eULL, 0x19e0c9bab2400000ULL }, 1 },
    { { false, 0x0ULL, 0xa4046b773d58e1cULL }, 4, { false, 0x278e4e715aadd0d2ULL, 0x9211a8d847f439f4ULL }, 12, 18, true, { false, 0x0ULL, 0x156fceULL }, -1 },
    { { false, 0x0ULL, 0x88673ULL }, 3, { false, 0x0ULL, 0x3ULL }, 14, 0, true, { false, 0x0ULL, 0x422a09039e12abULL }, 1 },
    { { false, 0x1959b680af3aeaa3ULL, 0x13f5bc90f55dad76ULL }, 5, { true, 0x0ULL, 0xf345da2d2e708c9ULL }, 0, 18, true, { true, 0xf29f7df3665ULL, 0x69c2b0ce08baa19dULL }, 1 },
    { { false, 0x1ca980b4e7ff25b9ULL, 0xb3257ddacabc1222ULL }, 4, { true, 0x0ULL, 0x7ULL }, 14, 18, false, { false, 0x0ULL, 0x0ULL }, 1 },
    { { true, 0x0ULL, 0xc0ec4ULL }, 6, { true, 0x0ULL, 0x8ULL }, 3, 0, true, { false, 0x0ULL, 0x63ULL }, -1 },
    { { false, 0x0ULL, 0xc7cb4ULL }, 0, { false, 0x0ULL, 0x8ULL }, 11, 0, true, { false, 0x0ULL, 0x2457a16d7f6400ULL }, 1 },
    { { true, 0x0ULL, 0x15ULL }, 17, { false, 0x1ccc39dd2ULL, 0x6dcea371106607ddULL }, 10, 2, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { false, 0xfe143aa65ULL, 0xf21c805c70ae8985ULL }, 16, { true, 0x0ULL, 0x715d4ULL }, 17, 9, true, { true, 0x537e576a4082fULL, 0x698a0e29c40ccc8cULL }, 1 },
    { { false, 0x26f86a3d354f305bULL, 0x9c03e73be688cf0bULL }, 6, { true, 0x0ULL, 0x8bc1cULL }, 13, 0, false, { false, 0x0ULL, 0x0ULL }, 1 },
    { { false, 0xbeeb3107db4d3b5ULL, 0x1f36ddf89018081eULL }, 13, { true, 0x0ULL, 0x2ULL }, 12, 9, false, { false, 0x0ULL, 0x0ULL }, 1 },
    { { false, 0x7fffffffffffffffULL, 0xfffffffffffffffcULL }, 13, { false, 0x7fffffffffffffffULL, 0xffffffffffffffffULL }, 0, 9, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { false, 0x0ULL, 0x123d6ULL }, 0, { false, 0x0ULL, 0x3ULL }, 9, 9, true, { false, 0x546ULL, 0x32cfb26dddd5555ULL }, 1 },
    { { false, 0x0ULL, 0xff65b079ea901acULL }, 6, { false, 0x0ULL, 0x8ULL }, 16, 18, false, { false, 0x0ULL, 0x0ULL }, 1 },
    { { false, 0x0ULL, 0x1aULL }, 5, { true, 0x722ef6a80ULL, 0xdb54e659962e5836ULL }, 10, 9, true, { false, 0x0ULL, 0x0ULL }, 1 },
    { { false, 0x0ULL, 0x639b0ULL }, 4, { false, 0x0ULL, 0x4492dULL }, 2, 9, true, { false, 0x0ULL, 0xdda3b2ULL }, -1 },
    { { false, 0xdf0f1d8dbULL, 0xd508ff346f4edf08ULL }, 0, { true, 0x0ULL, 0x4ULL }, 3, 2, true, { true, 0x55171c1e19bfcULL, 0x369a5895ee446540ULL }, 1 },
    { { false, 0x2e3fd816f7e7a342ULL, 0xd22b5aa4e94fbd20ULL }, 15, { false, 0x0ULL, 0x60c5903d53c269cULL }, 3, 0, true, { false, 0x0ULL, 0x8685f29ULL }, 1 },
    { { true, 0x0ULL, 0x20ULL }, 5, { false, 0xeb695492f3dc554ULL, 0x3087bbf925849de3ULL }, 5, 9, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { false, 0x0ULL, 0x3ULL }, 10, { false, 0x9eefb81764a44b4ULL, 0xae53c374f3952c0cULL }, 12, 18, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { true, 0x53344f557ULL, 0xd8219c9d0a76f50aULL }, 5, { false, 0x0ULL, 0x4ULL }, 3, 0, true, { true, 0x354032cULL, 0x612e29fdd5256adaULL }, -1 },
    { { true, 0x0ULL, 0x61c3ea5997fb916ULL }, 3, { true, 0x0ULL, 0x5ULL }, 5, 18, true, { false, 0x69ff51fdf8ae381ULL, 0xfb3eb84903e00000ULL }, -1 },
    { { false, 0x7fffffffffffffffULL, 0xfffffffffffffffdULL }, 2, { false, 0x7fffffffffffffffULL, 0xfffffffffffffffeULL }, 10, 9, true, { false, 0x0ULL, 0x16345785d8a0000ULL }, 1 },
    { { false, 0x19fbfcb0aULL, 0xe717a666a382a266ULL }, 10, { true, 0x0ULL, 0x5ULL }, 6, 18, false, { false, 0x0ULL, 0x0ULL }, 1 },
    { { false, 0x1b4ac07fa46b7f17ULL, 0x7f6262b4fff8987dULL }, 3, { false, 0x0ULL, 0xca6e9ULL }, 3, 2, true, { false, 0xd7b68a926df3ULL, 0xa1f39d9fde7e60c7ULL }, 1 },
    { { false, 0x0ULL, 0x584fc9602c595bULL }, 12, { false, 0x2a5081794ULL, 0xcf3d3dcd71c08717ULL }, 5, 18, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { true, 0xb4ff916f1ULL, 0x990b84c5660888b5ULL }, 17, { true, 0x0ULL, 0xf76baULL }, 9, 9, true, { false, 0x750bfULL, 0x13b3a829125c4632ULL }, -1 },
    { { false, 0x0ULL, 0xfULL }, 1, { false, 0x0ULL, 0x10ULL }, 10, 18, true, { false, 0x3077b58ULL, 0xd5d3783919800000ULL }, 1 },
    { { false, 0x0ULL, 0x14ULL }, 8, { true, 0x36fa5f273944babfULL, 0xe7d22e79cc2ef6d5ULL }, 7, 0, true, { false, 0x0ULL, 0x0ULL }, 1 },
    { { true, 0x35656eab9fceb71aULL, 0xce6ff6c1d76c09bULL }, 1, { false, 0x0ULL, 0x2ULL }, 11, 2, false, { false, 0x0ULL, 0x0ULL }, -1 },
    { { false, 0x0ULL, 0x1cULL }, 8, { true, 0x0ULL, 0xd57d84eaafaebffULL }, 18, 18, true, { true, 0x0ULL, 0x43ce053879ULL }, 1 },
    { { true, 0x0ULL, 0x7a1102920fdbaeeULL }, 8, { true, 0x27804663e487f655ULL, 0x80c13adc1d267d55ULL }, 8, 2, true, { false, 0x0ULL, 0x0ULL }, 1 },
    { { false, 0x0ULL, 0x645732dea6cc216ULL }, 8, { false, 0x0ULL, 0x1f1f8ULL }, 8, 18, true, { false, 0x2cbdf07cfdULL, 0x2a22272cc555812aULL }, 1 },
    { { false, 0x7fffffffffffffffULL, 0xfffffffffffffffdULL }, 17, { false, 0x7fffffffffffffffULL, 0xfffffffffffffffaULL }, 7, 9, true, { false, 0x0ULL, 0x0ULL }, -1 },
    { { true, 0xa5697e720ULL, 0x35ec05285aa64015ULL }, 13, { false, 0x0ULL, 0x10ULL }, 8, 18, false, { false, 0x0ULL, 0x0ULL }, -1 },
    { { true, 0x0ULL, 0x4e932ULL }, 18, { true, 0x0ULL, 0xdaf54682f11ee8dULL }, 3, 18, true, { false, 0x0ULL, 0x0ULL }, 1 },
    { { true, 0x0ULL, 0x2a81c8c8b2b8834ULL }, 9, { true, 0x0ULL, 0x8ULL }, 0, 0, true, { false, 0x0ULL, 0x16d21d1ULL }, -1 },
    { { true, 0x0ULL, 0x29d5c0a9a8d53cfULL }, 9, { true, 0x0ULL, 0xfd516ULL }, 4, 2, true, { false, 0x0ULL, 0xad2b9caULL }, -1 },
};

Test(decimal, parses_as_the_wide_computation)
{
    for (size_t i = 0; i < KPID_COUNT_OF(parse_cases); i++) {
        kpid_i128 m = 77;
        const char *text = parse_cases[i].text;
        enum kpid_decimal_status status =
            kpid_decimal_parse(text, strlen(text), parse_cases[i].scale, parse_cases[i].round, &m);
        cr_assert_eq(status, parse_cases[i].status, "%s at %d: %d", text, parse_cases[i].scale, (int)status);
        kpid_i128 want = wide_value((struct wide){ parse_cases[i].negative, parse_cases[i].high, parse_cases[i].low });
        if (status != KPID_DECIMAL_OK && status != KPID_DECIMAL_ROUNDED)
            want = 77;
        cr_assert(m == want, "%s at %d", text, parse_cases[i].scale);
    }
}

Test(decimal, refuses_what_is_no_number)
{
    static const char *const texts[] = { "", "-", "+", ".", "1.", ".5", "-.5", "1e", "1e+", "1e-", "1ex", "1.e3", "--1",
                                         "0x10", "1 ", " 1", "1_000", "NaN", "inf", "1.2.3", "1e2.5", "1,5" };
    for (size_t i = 0; i < KPID_COUNT_OF(texts); i++) {
        kpid_i128 m;
        cr_assert_eq(kpid_decimal_parse(texts[i], strlen(texts[i]), 6, true, &m), KPID_DECIMAL_SYNTAX, "%s", texts[i]);
    }
}

Test(decimal, survives_giant_exponents_and_long_digits)
{
    static const struct {
        const char *text;
        enum kpid_decimal_status status;
    } cases[] = { { "0e99999999999999999999", KPID_DECIMAL_OK },
                  { "1e99999999999999999999", KPID_DECIMAL_OVERFLOW },
                  { "1e-99999999999999999999", KPID_DECIMAL_TOO_FINE },
                  { "0e-99999999999999999999", KPID_DECIMAL_OK } };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        kpid_i128 m = 5;
        cr_assert_eq(kpid_decimal_parse(cases[i].text, strlen(cases[i].text), 6, false, &m), cases[i].status);
        cr_assert(m == (cases[i].status == KPID_DECIMAL_OK ? 0 : 5));
    }
    char digits[5001];
    memset(digits, '0', sizeof(digits));
    digits[4999] = '7'; /* leading zeros, then 7e-5000 * 10^4999 would be 0.7 */
    kpid_i128 m = 5;
    cr_assert_eq(kpid_decimal_parse(digits, 5000, 3, false, &m), KPID_DECIMAL_OK);
    cr_assert(m == 7000);
}

Test(decimal, takes_the_shortest_decimal_of_a_double)
{
    static const struct {
        double value;
        uint8_t scale;
        bool round;
        enum kpid_decimal_status status;
        int64_t m;
    } cases[] = { { 0.1, 6, false, KPID_DECIMAL_OK, 100000 },
                  { -0.0, 6, false, KPID_DECIMAL_OK, 0 },
                  { 12.34, 2, false, KPID_DECIMAL_OK, 1234 },
                  { 12.345, 2, false, KPID_DECIMAL_TOO_FINE, 0 },
                  { 12.345, 2, true, KPID_DECIMAL_ROUNDED, 1234 },
                  { 0.30000000000000004, 17, false, KPID_DECIMAL_OK, 30000000000000004 },
                  { 1e15, 0, false, KPID_DECIMAL_OK, 1000000000000000 },
                  { -9007199254740993.0, 0, false, KPID_DECIMAL_OK, -9007199254740992 },
                  { 1e300, 0, false, KPID_DECIMAL_OVERFLOW, 0 },
                  { 5e-324, 18, true, KPID_DECIMAL_ROUNDED, 0 },
                  { 19.99, 6, false, KPID_DECIMAL_OK, 19990000 } };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        kpid_i128 m = 0;
        cr_assert_eq(kpid_decimal_from_double(cases[i].value, cases[i].scale, cases[i].round, &m), cases[i].status,
                     "%.17g", cases[i].value);
        cr_assert(m == cases[i].m, "%.17g", cases[i].value);
    }
    kpid_i128 m;
    cr_assert_eq(kpid_decimal_from_double(NAN, 6, true, &m), KPID_DECIMAL_SYNTAX);
    cr_assert_eq(kpid_decimal_from_double(INFINITY, 6, true, &m), KPID_DECIMAL_SYNTAX);
}

/* Every printed double parses to the same decimal as the double itself: the quick way and the text agree. */
Test(decimal, quick_way_for_doubles_agrees_with_the_text)
{
    uint64_t seed = 12345;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        int64_t digits = (int64_t)(seed >> 20) % 1000000000000000LL;
        double value = (double)digits / (double)(i % 3 == 0 ? 100 : i % 3 == 1 ? 1000000 : 8192);
        char text[32];
        size_t len = kpid_double_print(value, text);
        kpid_i128 quick = 1, slow = 2;
        cr_assert_eq(strtod(text, NULL), value);
        enum kpid_decimal_status a = kpid_decimal_from_double(value, 6, true, &quick);
        enum kpid_decimal_status b = kpid_decimal_parse(text, len, 6, true, &slow);
        cr_assert(a == b && quick == slow, "%s", text);
    }
}

Test(decimal, divides_and_compares_as_fractions)
{
    for (size_t i = 0; i < KPID_COUNT_OF(divide_cases); i++) {
        struct kpid_decimal a = { wide_value(divide_cases[i].a), divide_cases[i].scale_a };
        struct kpid_decimal b = { wide_value(divide_cases[i].b), divide_cases[i].scale_b };
        kpid_i128 q = 0;
        cr_assert_eq(kpid_decimal_divide(a, b, divide_cases[i].scale, &q), divide_cases[i].fits, "row %zu", i);
        cr_assert(q == wide_value(divide_cases[i].quotient), "row %zu", i);
        cr_assert_eq(kpid_decimal_compare(a, b), divide_cases[i].compare, "row %zu", i);
        cr_assert_eq(kpid_decimal_compare(b, a), -divide_cases[i].compare, "row %zu", i);
    }
    struct kpid_decimal tiny = { 1, 18 }, huge = { (kpid_i128)1 << 126, 0 }, zero = { 0, 0 };
    cr_assert_eq(kpid_decimal_compare(tiny, huge), -1);
    cr_assert_eq(kpid_decimal_compare(zero, tiny), -1);
    cr_assert_eq(kpid_decimal_compare((struct kpid_decimal){ 0, 18 }, zero), 0);
}

Test(decimal, rescales)
{
    static const struct {
        int64_t m;
        uint8_t from, to;
        int64_t want;
    } cases[] = { { 15, 1, 0, 2 }, { 25, 1, 0, 2 }, { 35, 1, 0, 4 }, { -25, 1, 0, -2 }, { -35, 1, 0, -4 },
                  { 26, 1, 0, 3 }, { 7, 0, 3, 7000 }, { 1, 40, 0, 0 }, { 1, 18, 0, 0 }, { 250, 2, 2, 250 } };
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        kpid_i128 m = 0;
        cr_assert(kpid_decimal_rescale(cases[i].m, cases[i].from, cases[i].to, &m));
        cr_assert(m == cases[i].want, "row %zu", i);
    }
    kpid_i128 m = 5;
    cr_assert_not(kpid_decimal_rescale((kpid_i128)1 << 120, 0, 3, &m));
    cr_assert(m == 5);
    cr_assert_eq(kpid_decimal_from_int(INT64_MIN, 18, &m), KPID_DECIMAL_OK);
    cr_assert(m == (kpid_i128)INT64_MIN * 1000000000000000000LL);
    cr_assert_eq(kpid_decimal_from_int(INT64_MIN, 21, &m), KPID_DECIMAL_OVERFLOW);
}

Test(decimal, prints)
{
    static const struct {
        int64_t m;
        uint8_t scale;
        const char *text;
    } cases[] = { { 0, 6, "0" }, { 1, 0, "1" }, { -1, 2, "-0.01" }, { 1200, 2, "12" }, { 1250, 2, "12.5" },
                  { -1000000, 6, "-1" }, { 5, 18, "0.000000000000000005" }, { 100, 0, "100" }, { 12345, 21, "0.000000000000000012345" } };
    char text[KPID_DECIMAL_TEXT];
    for (size_t i = 0; i < KPID_COUNT_OF(cases); i++) {
        struct kpid_decimal d = { cases[i].m, cases[i].scale };
        cr_assert_eq(kpid_decimal_print(d, text), strlen(cases[i].text));
        cr_assert_str_eq(text, cases[i].text);
    }
    struct kpid_decimal most = { (kpid_i128)(~(kpid_u128)0 >> 1), 6 };
    kpid_decimal_print(most, text);
    cr_assert_str_eq(text, "170141183460469231731687303715884.105727");
    most.m = -most.m - 1;
    kpid_decimal_print(most, text);
    cr_assert_str_eq(text, "-170141183460469231731687303715884.105728");
}

Test(decimal, becomes_the_nearest_double)
{
    static const char *const texts[] = { "0.1", "123456.789", "-0.000001", "99999999999999999999.123456", "9007199254740993.5" };
    for (size_t i = 0; i < KPID_COUNT_OF(texts); i++) {
        struct kpid_decimal d = { 0, 6 };
        cr_assert_eq(kpid_decimal_parse(texts[i], strlen(texts[i]), 6, false, &d.m), KPID_DECIMAL_OK);
        cr_assert_eq(kpid_decimal_to_double(d), strtod(texts[i], NULL), "%s", texts[i]);
    }
}
