# Shop traffic for ./quickstart, kpictl replay and the benches.
add_subdirectory(generate)
