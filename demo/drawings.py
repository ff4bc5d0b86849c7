"""What each leaf of the demo's tree looks like, as shapes on a square of 100 x 100 with y downwards.

One line is one shape, later ones on top. FILL is a colour of the picture's palette or a fixed `#rrggbb`;
a line that begins with `?` is drawn in about half of the pictures.

    box FILL left top right bottom [corner radius]
    oval FILL x y radius_x radius_y
    poly FILL x y x y x y ...
    line FILL width x y x y ...
    arc FILL width x y radius_x radius_y from to        degrees, clockwise from the right
    grid FILL left top right bottom columns rows        boxes with gaps between them
"""

#: Hues (0 to 360 degrees) that a leaf's main colour is drawn from; any hue where a leaf is not named.
HUES: dict[str, tuple[float, float]] = {
    "청바지": (205, 235),
    "사과": (-20, 25),
    "바나나": (46, 58),
    "라면": (-10, 50),
    "냄비": (0, 40),
    "테이블": (20, 40),
    "립스틱": (-35, 15),
    "기저귀": (160, 220),
}

_WOOD, _SKIN, _STEEL, _GOLD, _LEAF = "#8a5a2b", "#e8b48c", "#b9bec6", "#d8a93a", "#4c8c3a"

DRAWINGS: dict[str, str] = {
    "원피스": """
        line main 4 41 16 39 4
        line main 4 59 16 61 4
        poly main 38 12 62 12 60 36 80 90 20 90 40 36
        poly dark 40 33 60 33 61 39 39 39
        ?poly lite 24 78 76 78 80 90 20 90
        ?oval spot 42 62 4 4
        ?oval spot 57 70 4 4""",
    "스커트": """
        poly main 34 22 66 22 88 84 12 84
        box dark 33 15 67 24
        line dark 2 42 26 34 83
        line dark 2 50 26 50 83
        line dark 2 58 26 66 83
        ?poly spot 15 76 85 76 88 84 12 84""",
    "티셔츠": """
        poly main 30 16 42 13 50 20 58 13 70 16 95 36 83 51 72 42 72 90 28 90 28 42 17 51 5 36
        arc dark 3 50 13 9 8 0 180
        ?box spot 39 40 61 58
        ?box lite 28 60 72 66""",
    "청바지": """
        poly main 30 8 70 8 77 93 56 93 50 40 44 93 23 93
        box dark 30 8 70 15
        line lite 1.5 50 15 50 36
        line lite 1.5 32 20 42 23 44 15
        line lite 1.5 68 20 58 23 56 15
        ?box lite 28 52 38 60""",
    "운동화": """
        poly main 7 38 20 32 34 43 48 32 62 49 88 56 95 70 7 70
        box pale 5 67 97 79 5
        line pale 2.5 40 45 50 50
        line pale 2.5 46 39 56 45
        poly spot 16 62 48 53 28 67
        ?box ink 5 76 97 80 2""",
    "구두": """
        poly dark 9 26 18 26 19 52 15 86 10 86 12 52
        poly main 9 26 20 21 31 40 56 61 86 68 93 77 60 79 33 67 18 52
        poly ink 33 67 60 79 93 77 93 80 60 83 31 70
        ?oval spot 76 68 5 4""",
    "부츠": """
        poly main 30 6 62 6 62 58 88 68 93 83 30 83
        box ink 28 81 95 90 2
        box lite 28 6 64 15 2
        ?line dark 2 46 22 46 56
        ?line pale 2 52 30 60 34
        ?line pale 2 52 40 60 44""",
    "백팩": """
        line dark 5 23 38 13 58 22 82
        line dark 5 77 38 87 58 78 82
        arc dark 4 50 24 12 13 180 360
        box main 22 20 78 92 16
        box dark 30 56 70 85 7
        line lite 2 30 65 70 65
        line dark 2 30 42 70 42
        ?box spot 44 28 56 36 2""",
    "토트백": """
        arc dark 4.5 50 42 18 30 180 360
        poly main 15 40 85 40 77 90 23 90
        box dark 15 40 85 46
        oval spot 50 56 5 5
        ?poly lite 22 76 78 76 77 90 23 90""",
    "모자": """
        poly main 16 62 18 43 31 27 50 21 68 27 78 43 80 62
        poly dark 46 58 80 60 98 70 92 76 60 71 16 65
        oval dark 49 21 4 3
        line dark 1.5 50 22 56 40 56 59
        ?oval spot 64 44 7 7""",
    "선글라스": """
        line main 3.5 11 47 2 36
        line main 3.5 89 47 98 36
        line main 4 42 46 50 42 58 46
        oval ink 28 52 18 15
        oval ink 72 52 18 15
        arc main 3 28 52 18 15 0 360
        arc main 3 72 52 18 15 0 360
        line pale 2 19 50 27 43
        ?line pale 2 63 50 71 43""",
    "손목시계": """
        box main 38 2 62 98 5
        box dark 74 46 81 54 1
        oval dark 50 50 27 27
        oval pale 50 50 21 21
        line ink 3 50 52 50 35
        line ink 2.5 49 50 62 55
        ?oval spot 50 62 4 4
        ?line dark 1.5 40 14 60 14""",
    "노트북": """
        box dark 17 14 83 62 3
        box spot 21 18 79 58
        poly main 17 64 83 64 97 82 3 82
        grid ink 19 66 81 73 10 2
        poly dark 41 75 59 75 61 80 39 80
        ?box pale 30 26 60 46""",
    "키보드": """
        box main 3 30 97 70 4
        grid dark 7 35 93 57 12 3
        box dark 28 59 72 65 1
        grid dark 7 59 26 65 3 1
        grid spot 74 59 93 65 3 1""",
    "마우스": """
        ?line ink 2.5 50 20 45 10 52 2
        oval main 50 56 25 37
        line dark 2 26 48 74 48
        line dark 2 50 19 50 48
        box ink 46 27 54 42 4
        ?oval spot 50 76 7 5""",
    "헤드폰": """
        arc main 7 50 54 35 42 180 360
        box dark 7 50 27 86 9
        box dark 73 50 93 86 9
        box spot 13 56 21 80 4
        box spot 79 56 87 80 4""",
    "스피커": """
        box main 27 6 73 94 6
        oval dark 50 64 18 18
        oval ink 50 64 9 9
        oval dark 50 28 11 11
        oval ink 50 28 5 5
        ?box spot 40 86 60 90""",
    "선풍기": """
        line dark 6 50 66 50 88
        oval dark 50 90 21 6
        oval lite 50 36 31 31
        oval main 50 21 8 13
        oval main 37 44 13 8
        oval main 63 44 13 8
        arc dark 3 50 36 31 31 0 360
        arc dark 1.5 50 36 19 19 0 360
        oval dark 50 36 6 6""",
    "청소기": """
        line ink 5 69 20 36 82
        poly main 58 4 82 14 70 48 50 40
        oval spot 62 34 7 9
        arc dark 4 78 10 11 9 200 380
        box dark 14 80 54 93 5
        ?line pale 2 18 90 50 90""",
    "프라이팬": """
        line ink 9 62 64 95 96
        oval main 40 41 36 35
        oval ink 40 41 29 28
        ?oval pale 38 42 13 11
        ?oval #f0a828 39 42 5 5
        ?arc dark 1.5 40 41 20 19 180 290""",
    "냄비": """
        arc dark 5 14 58 9 7 90 270
        arc dark 5 86 58 9 7 270 450
        box main 17 40 83 87 9
        poly lite 20 38 32 26 68 26 80 38
        box dark 13 36 87 43 3
        oval ink 50 22 7 5
        ?box lite 24 50 30 78 3""",
    "식도": f"""
        poly {_STEEL} 3 36 66 36 66 62 38 62 14 54
        poly #e4e8ee 14 54 38 62 66 62 66 58 38 57
        box main 66 40 98 57 4
        oval ink 76 48 2 2
        oval ink 88 48 2 2""",
    "머그컵": """
        arc main 7 70 54 17 17 -90 90
        box main 20 22 69 86 7
        oval dark 44.5 24 24 6
        ?oval spot 44 58 11 11
        ?box lite 20 42 69 50""",
    "텀블러": """
        poly main 31 20 69 20 62 95 38 95
        box dark 27 13 73 24 4
        box ink 44 6 58 14 2
        ?poly lite 33.5 46 66.5 46 65.5 58 34.5 58
        ?line spot 3 58 8 70 1""",
    "와인잔": """
        poly #dfe6ee 31 6 69 6 74 28 65 48 54 54 46 54 35 48 26 28
        poly main 27 27 73 27 65 48 54 54 46 54 35 48
        line #c4ccd6 4 50 53 50 88
        oval #c4ccd6 50 91 19 5
        ?line pale 2 35 12 33 24""",
    "사과": f"""
        oval main 39 58 27 31
        oval main 61 58 27 31
        line {_WOOD} 4 50 34 55 14
        oval {_LEAF} 67 20 12 6
        oval lite 30 46 5 9
        ?oval dark 50 32 8 3""",
    "바나나": f"""
        poly main 13 20 22 18 29 46 49 64 78 68 92 60 95 67 79 84 48 85 23 66 12 40
        poly {_WOOD} 11 12 20 12 22 22 13 24
        line dark 2 19 34 30 60 54 75 88 70
        ?poly main 22 18 32 14 42 38 62 52 84 50 92 44 92 60 78 68 49 64 29 46
        ?line dark 1.5 29 46 49 64 78 68""",
    "라면": """
        box main 17 10 83 90 2
        grid dark 17 10 83 15 9 1
        grid dark 17 85 83 90 9 1
        box spot 26 22 74 37 3
        poly pale 24 54 76 54 66 78 34 78
        arc #f2c84b 3 41 53 8 7 180 360
        arc #f2c84b 3 56 53 9 8 180 360
        ?line ink 2 62 52 80 40""",
    "참치캔": f"""
        oval dark 50 72 36 13
        box main 14 36 86 72
        oval main 50 70 36 12
        poly spot 14 46 38 51 38 68 14 62
        oval #dde1e6 50 36 36 13
        oval {_STEEL} 50 36 29 9
        arc ink 2 60 35 7 3 0 360""",
    "젖병": f"""
        oval {_SKIN} 50 11 6 7
        poly {_SKIN} 45 12 55 12 62 30 38 30
        box main 31 27 69 39 3
        box #eef1f4 33 39 67 95 9
        box #fffdf2 36 58 64 92 7
        line ink 1.5 38 50 46 50
        line ink 1.5 38 62 46 62
        line ink 1.5 38 74 46 74
        ?oval spot 57 72 5 5""",
    "기저귀": """
        poly #f6f7f9 6 20 94 20 89 40 67 56 61 84 39 84 33 56 11 40
        box main 6 20 94 28
        box spot 2 22 14 32 2
        box spot 86 22 98 32 2
        arc lite 2 20 46 14 18 -60 50
        arc lite 2 80 46 14 18 130 240
        ?oval main 50 46 7 7""",
    "유모차": """
        line ink 4 80 46 97 24
        line ink 3 34 70 68 88
        line ink 3 66 70 34 88
        poly main 16 46 84 46 72 72 32 72
        poly dark 50 46 16 46 19 28 31 14 50 9
        line lite 2 50 46 31 14
        oval ink 32 88 9 9
        oval ink 70 88 9 9
        oval pale 32 88 4 4
        oval pale 70 88 4 4""",
    "축구공": """
        oval pale 50 50 40 40
        poly main 50 37 62 46 58 60 42 60 38 46
        poly main 42 11 58 11 50 22
        poly main 88 38 90 54 79 46
        poly main 74 82 64 89 66 76
        poly main 26 82 36 89 34 76
        poly main 12 38 10 54 21 46
        line ink 1.5 50 37 50 22
        line ink 1.5 62 46 79 46
        line ink 1.5 58 60 66 76
        line ink 1.5 42 60 34 76
        line ink 1.5 38 46 21 46
        arc ink 2 50 50 40 40 0 360""",
    "배드민턴라켓": """
        line pale 1 22 12 22 54
        line pale 1 29 7 29 58
        line pale 1 36 7 36 58
        line pale 1 43 10 43 54
        line pale 1 12 22 50 22
        line pale 1 10 32 54 32
        line pale 1 12 42 52 42
        arc main 4.5 32 32 22 26 0 360
        line main 4 47 53 72 77
        line ink 7 72 77 93 97""",
    "텐트": """
        line ink 1.5 50 12 4 88
        line ink 1.5 50 12 96 88
        poly main 50 14 90 86 10 86
        poly dark 50 30 66 86 34 86
        line lite 2 50 14 50 86
        ?poly spot 50 14 56 25 44 25
        ?poly lite 50 30 50 86 40 86""",
    "아령": f"""
        line {_STEEL} 8 24 50 76 50
        box main 8 26 21 74 4
        box dark 21 34 31 66 3
        box main 79 26 92 74 4
        box dark 69 34 79 66 3
        ?line pale 1.5 40 47 40 53
        ?line pale 1.5 60 47 60 53""",
    "소파": f"""
        box {_WOOD} 14 74 20 86
        box {_WOOD} 80 74 86 86
        box main 10 30 90 70 9
        box lite 19 50 50 70 5
        box lite 50 50 81 70 5
        box dark 3 44 20 78 7
        box dark 80 44 97 78 7
        ?box spot 24 38 38 54 4""",
    "테이블": """
        poly dark 12 44 20 44 18 90 12 90
        poly dark 80 44 88 44 88 90 82 90
        ?box lite 22 44 78 55
        ?oval ink 50 49 2 2
        box main 4 34 96 45 2
        ?oval spot 50 29 9 6""",
    "의자": """
        line dark 4.5 30 60 25 95
        line dark 4.5 70 60 75 95
        line dark 3 37 60 36 84
        line dark 3 63 60 64 84
        line dark 4 36 44 36 56
        line dark 4 64 44 64 56
        box main 30 6 70 46 9
        box main 24 53 76 64 5
        ?box lite 36 14 64 36 5""",
    "스탠드조명": """
        oval #fff2b8 50 46 30 9
        line dark 4 50 42 50 90
        oval dark 50 92 20 5
        poly main 35 8 65 8 79 43 21 43
        ?line dark 1.5 62 43 62 58
        ?poly lite 26.5 35 73.5 35 76.5 43 23.5 43""",
    "침대": f"""
        box {_WOOD} 4 22 13 86 2
        box {_WOOD} 88 46 96 86 2
        box dark 12 64 90 76
        box pale 12 50 90 66 3
        box spot 15 41 37 53 5
        box main 40 47 91 66 4
        ?line lite 2 52 48 52 65""",
    "립스틱": f"""
        poly main 42 42 42 20 58 8 58 42
        poly lite 46 40 46 19 50 16 50 40
        box {_GOLD} 39 38 61 57
        box ink 34 55 66 95 3
        ?box {_GOLD} 34 72 66 75""",
    "향수": f"""
        box ink 37 6 63 22 3
        box {_GOLD} 42 22 58 36
        box main 20 35 80 93 8
        box lite 26 41 74 87 5
        box pale 34 56 66 74 1
        ?line ink 1.5 39 65 61 65""",
    "샴푸": """
        line dark 5 50 36 50 14
        poly dark 26 9 58 7 58 16 26 14
        box dark 41 26 59 37 2
        box main 27 35 73 96 10
        box pale 34 52 66 80 3
        ?box spot 38 57 62 64
        ?line ink 1.5 40 71 60 71""",
}
