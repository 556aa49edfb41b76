"""Names of columns, and of outcomes, in other languages than English: each is read as the English one.

A word that means different things in two of these languages has no place here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

__all__ = ["ENGLISH", "NO", "YES", "without_accents"]

_WORDS: Mapping[str, str] = {
    "policy": (
        "politik strategie policies politique stratégie política politica estrategia estratégia strategia "
        "策略 政策 方策 ポリシー 정책 политика стратегия"
    ),
    "method": (
        "methode verfahren ansatz méthode approche método metodo enfoque abordagem methodik 方法 手法 方式 방법 метод"
    ),
    "model": "modell modèle modelo modello 模型 モデル 모델 модель",
    "task": "aufgabe tâche tarea tarefa compito taak 任务 任務 タスク 작업 задача задание",
    "variation": "bedingung schwierigkeit difficulté dificultad dificuldade difficoltà 难度 難易度 条件",
    "world": "welt monde mundo mondo",
    "place": "standort labor laboratoire laboratorio lieu lugar luogo 地点 場所",
    "robot": "roboter 机器人 ロボット 로봇 робот",
    "seed": "startwert graine semilla semente seme 种子 随机种子 シード 시드",
    "scene": "szene scène escena cena scena 场景 シーン сцена",
    "trial": (
        "versuch durchlauf durchgang essai prueba intento prova tentativo tentativa poging 试验 试次 实验编号 "
        "試行 시도 попытка испытание"
    ),
    "number": "nummer lfd_nr numéro número numero 编号 序号 番号 번호 номер",
    "episode": "épisode episodio episódio 回合 エピソード 에피소드 эпизод",
    "success": (
        "erfolgreich succès réussi réussite éxito exitoso sucesso successo riuscito succes geslaagd 成功 是否成功 "
        "成否 성공 успех"
    ),
    "failure": "misserfolg fehlschlag échec fracaso fallo falha insuccesso fallimento mislukt 失败 失敗 실패 неудача",
    "progress": "fortschritt progrès avancement progreso progresso voortgang 进度 進捗 進捗率 진행률 прогресс",
    "score": "punkte punktzahl puntuación pontuação punteggio 得分 分数 スコア 점수 оценка",
    "successes": (
        "erfolge anzahl_erfolge succès_obtenus réussites nb_succès nombre_de_succès éxitos aciertos sucessos acertos "
        "successi successen 成功次数 成功数 成功回数 성공_횟수 성공횟수 успехов успехи"
    ),
    "failures": "fehlschläge misserfolge échecs fracasos fallos falhas fallimenti 失败次数 失敗回数 失败数 неудачи",
    "trials": (
        "versuche anzahl anzahl_versuche durchläufe durchgänge essais tentatives nb_essais nombre_d_essais pruebas "
        "intentos ensayos tentativas prove tentativi pogingen 试验次数 总次数 次数 试次数 試行回数 試行数 시도_횟수 "
        "시도횟수 попыток испытаний"
    ),
    "success_rate": (
        "erfolgsrate erfolgsquote taux_de_réussite taux_de_succès tasa_de_éxito taxa_de_sucesso tasso_di_successo "
        "slagingspercentage 成功率 성공률 доля_успехов процент_успехов"
    ),
    "preference": "präferenz préférence preferencia preferência preferenza voorkeur 偏好 選好 선호",
    "winner": "gewinner sieger gagnant vainqueur ganador vencedor vincitore winnaar 胜者 获胜者 勝者 승자 победитель",
    "loser": "verlierer perdant perdedor perdente verliezer 败者 敗者 패자 проигравший",
    "demos": (
        "demonstrationen vorführungen démonstrations demostraciones demonstrações dimostrazioni 演示数 示教数 デモ数"
    ),
    "hours": "stunden heures horas ore uren 小时 小时数 時間数",
    "date": "datum fecha 日期 日付 날짜 дата",
    "time": "uhrzeit zeit heure hora 时间 時刻 시간 время",
    "timestamp": "zeitstempel horodatage marca_de_tiempo 时间戳 タイムスタンプ",
    "operator": "bediener versuchsleiter versuchsleiterin opérateur operador operatore 操作员 実験者 оператор",
    "comment": (
        "bemerkung bemerkungen kommentar kommentare anmerkung anmerkungen notiz notizen hinweis hinweise beobachtung "
        "beobachtungen commentaire commentaires remarque remarques comentario comentarios comentário comentários "
        "observaciones observações nota notas commento commenti opmerking opmerkingen 备注 注释 メモ 備考 "
        "비고 메모 комментарий примечание примечания"
    ),
    "source": "quelle origine fuente fonte bron 来源 データ源 источник",
}

_YES = (
    "ja wahr erfolgreich geschafft oui vrai réussi réussie succès sí verdadero éxito exitoso sim verdadeiro sucesso "
    "sì vero successo riuscito waar gelukt geslaagd 是 真 成功 对 通过 はい 예 성공 да истина успех успешно"
)
_NO = (
    "nein falsch gescheitert fehlschlag non faux échec échoué falso fracaso fallo não falha insuccesso fallimento "
    "nee onwaar mislukt 否 假 失败 失敗 错 未通过 いいえ 아니오 실패 нет ложь неудача неуспех"
)

YES = frozenset(_YES.split())
"""What cells say where it went well, without accents too."""

NO = frozenset(_NO.split())
"""What cells say where it did not."""


def without_accents(text: str) -> str:
    """`réussite` is `reussite`: people leave accents out of headers."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


ENGLISH: Mapping[str, str] = {
    without_accents(word): english for english, words in _WORDS.items() for word in words.split()
}
"""A name of a column, without accents and with `_` between its words -> the English one."""
